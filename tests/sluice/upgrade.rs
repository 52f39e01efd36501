//! A new release over the database of an old one.

use entities::{
    Database,
    database::PoolSize,
    handle::{self, Handle},
    member,
};
use migration::Migrator;
use sea_orm_migration::MigratorTrait;
use uuid::Uuid;

use crate::servers::Postgres;

async fn owners_become_members(url: &str) {
    let database = Database::open(url, PoolSize(2)).await.unwrap();
    let steps = Migrator::migrations();
    let before = steps.iter().position(|step| step.name().contains("create_member")).unwrap();
    let before = u32::try_from(before).unwrap();
    Migrator::up(database.write(), Some(before)).await.unwrap();
    let old = Handle {
        id: Uuid::now_v7(),
        name: "maria".to_owned(),
        display_name: "Maria".to_owned(),
        owner: "auth0|maria".to_owned(),
        created_at: 1,
    };
    assert!(handle::insert(database.write(), &old).await.unwrap());
    Migrator::up(database.write(), None).await.unwrap();
    let member = member::find(database.read(), old.id, "auth0|maria").await.unwrap().unwrap();
    assert_eq!((member.role.as_str(), member.created_at), ("owner", 1));
    database.close().await.unwrap();
}

#[tokio::test]
async fn whoever_owned_a_handle_goes_on_owning_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sluice.db");
    owners_become_members(&format!("sqlite://{}", path.display())).await;
    if let Some(postgres) = Postgres::create().await {
        owners_become_members(&postgres.url()).await;
    }
}
