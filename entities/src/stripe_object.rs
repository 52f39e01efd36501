//! Where events about a Stripe object go.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{execute, query_one},
};

/// A Stripe object, and the run that its events go to.
#[derive(Clone, Debug, FromQueryResult)]
pub struct StripeObject {
    /// `cs_…`, `acct_…`, `re_…`
    pub id: String,
    /// The run.
    pub run_id: Uuid,
}

/// Remembers objects. One that is known stays where it is.
pub async fn insert(db: &impl ConnectionTrait, objects: &[StripeObject]) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new()
        .text("id", objects.iter().map(|object| object.id.as_str()))
        .id("run_id", objects.iter().map(|object| object.run_id));
    let sql = format!(
        "INSERT INTO stripe_object (id, run_id) SELECT id, run_id FROM {} WHERE true ORDER BY id \
         ON CONFLICT (id) DO NOTHING",
        rows.source(dialect, 1)
    );
    execute(db, &sql, rows.values(dialect)).await.map(drop)
}

/// The run that an object's events go to.
pub async fn find(db: &impl ConnectionTrait, id: &str) -> Result<Option<StripeObject>, DbErr> {
    query_one(db, "SELECT * FROM stripe_object WHERE id = $1", vec![id.into()]).await
}
