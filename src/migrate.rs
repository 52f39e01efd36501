//! `migrate`: the schema.

use clap::Subcommand;
use migration::Migrator;
use sea_orm_migration::{MigrationStatus, MigratorTrait};

use crate::{Fatal, assembly, settings::Settings};

/// What to do to the schema.
#[derive(Clone, Copy, Subcommand)]
pub enum Direction {
    /// Applies every pending step.
    Up,
    /// Takes the last step back.
    Down,
    /// Lists the steps.
    Status,
}

pub async fn run(settings: &Settings, direction: Direction) -> Result<(), Fatal> {
    let database = assembly::open(settings, &settings.database_url()).await?;
    match direction {
        Direction::Up => Migrator::up(database.write(), None).await?,
        Direction::Down => Migrator::down(database.write(), Some(1)).await?,
        Direction::Status => {}
    }
    for step in Migrator::get_migration_with_status(database.write()).await? {
        let status = match step.status() {
            MigrationStatus::Applied => "applied",
            MigrationStatus::Pending => "pending",
        };
        println!("{status}  {}", step.name());
    }
    Ok(database.close().await?)
}
