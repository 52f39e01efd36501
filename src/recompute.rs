//! `recompute-earnings`: what the ledger comes to, against what the creators are shown.

use std::sync::Arc;

use engine::{Recomputed, wake::NoWakeups};

use crate::{Fatal, assembly, operate::Reason, settings::Settings, telemetry};

/// What is done about earnings that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differing {
    /// They are told.
    Told,
    /// They are written anew.
    Repaired,
}

impl From<bool> for Differing {
    fn from(repair: bool) -> Self {
        if repair { Self::Repaired } else { Self::Told }
    }
}

/// Compares the earnings of every handle with the ledger, and fails on a difference that stays.
pub async fn run(settings: &Settings, differing: Differing, reason: &Reason) -> Result<(), Fatal> {
    telemetry::log("warn");
    let database = assembly::open(settings, &settings.database_url()).await?;
    assembly::require_current_schema(&database).await?;
    let engine = assembly::engine(database, Arc::new(NoWakeups));
    let by = reason.by();
    let wish = match differing {
        Differing::Told => Recomputed::Compared,
        Differing::Repaired => Recomputed::Repaired(&by),
    };
    let compared = engine.recompute_earnings(wish).await?;
    for difference in &compared.differences {
        println!("{difference}");
    }
    let (handles, count) = (compared.handles, compared.differences.len());
    match (count, differing) {
        (0, _) => println!("the earnings of {handles} handles are what the ledger comes to"),
        (_, Differing::Repaired) => {
            println!("{handles} handles compared, {count} differences repaired")
        }
        (_, Differing::Told) => {
            return Err(format!("{handles} handles compared, {count} differences").into());
        }
    }
    Ok(())
}
