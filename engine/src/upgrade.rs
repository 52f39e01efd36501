//! Whether this release can read what older ones stored.

use entities::run;
use uuid::Uuid;
use workflows::id::RunId;

use crate::{Engine, EngineError};

/// How many unreadable runs are named at most.
const NAMED: usize = 20;
const RUNS: u64 = 500;

/// A run that this release cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRun {
    /// Which.
    pub run: RunId,
    /// Why not.
    pub why: String,
}

impl Engine {
    /// Runs stored by older versions of their machines that cannot be upgraded. Runs of newer versions are
    /// not among them: those are left to processes of the newer release.
    pub async fn unreadable_runs(&self) -> Result<Vec<UnreadableRun>, EngineError> {
        let stored = run::versions(self.database.read()).await?;
        let is_older = |count: &run::VersionCount| {
            self.registry.find(&count.workflow).is_some_and(|machine| {
                i64::from(count.machine_version) < i64::from(machine.version)
            })
        };
        if !stored.iter().any(is_older) {
            return Ok(Vec::new());
        }
        let mut unreadable = Vec::new();
        let mut after = Uuid::nil();
        loop {
            let runs = run::scan_any_handle(self.database.read(), after, RUNS).await?;
            let Some(last) = runs.last() else { return Ok(unreadable) };
            after = last.id;
            for run in runs.iter().filter(|run| !run.state.is_empty()) {
                if unreadable.len() >= NAMED {
                    return Ok(unreadable);
                }
                unreadable.extend(self.unreadable(run));
            }
        }
    }

    fn unreadable(&self, run: &run::Run) -> Option<UnreadableRun> {
        let machine = self.registry.reader_of(&run.workflow, run.machine_version)?;
        let read = machine.standing(run.machine_version.unsigned_abs(), &run.state);
        read.err().map(|error| UnreadableRun { run: RunId(run.id), why: error.to_string() })
    }
}
