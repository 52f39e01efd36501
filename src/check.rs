//! `check` and `replay`: what must hold over a database, and whether this release would step it the same.

use std::sync::Arc;

use engine::{Engine, wake::NoWakeups};

use crate::{Fatal, assembly, settings::Settings, telemetry};

/// Checks the invariants, and fails if one does not hold.
pub async fn check(settings: &Settings) -> Result<(), Fatal> {
    let engine = open(settings).await?;
    let findings = engine.check().await?;
    for finding in &findings {
        println!("{:?}  {}", finding.invariant, finding.what);
    }
    match findings.len() {
        0 => {
            println!("clean: I1, I2, I4, I5, I6, I7 and I10 hold");
            Ok(())
        }
        count => Err(format!("{count} findings").into()),
    }
}

/// Re-steps stored histories, and fails on a difference.
pub async fn replay(settings: &Settings) -> Result<(), Fatal> {
    let engine = open(settings).await?;
    let replayed = engine.replay().await?;
    for difference in &replayed.differences {
        println!("{} line {}: {}", difference.run, difference.seq, difference.what);
    }
    println!(
        "{} histories re-stepped, {} of other versions left out",
        replayed.runs, replayed.other_versions
    );
    match replayed.differences.len() {
        0 => Ok(()),
        count => Err(format!("{count} histories differ").into()),
    }
}

async fn open(settings: &Settings) -> Result<Engine, Fatal> {
    telemetry::log("warn");
    let database = assembly::open(settings, &settings.database_url()).await?;
    assembly::require_current_schema(&database).await?;
    Ok(assembly::engine(database, Arc::new(NoWakeups)))
}
