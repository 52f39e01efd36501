//! Replay: re-steps stored histories and reports where this release would have stepped differently.

use entities::{history::History, run};
use serde_json::Value;
use uuid::Uuid;
use workflows::{Timestamp, id::RunId, workflow::Workflow};

use crate::{Engine, EngineError, step::name};

/// How much of a history is read at a time.
const LINES: u64 = 10_000;
/// How many runs are read at a time.
const RUNS: u64 = 200;

/// The first place where a history and this release disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whose history.
    pub run: RunId,
    /// Where in it.
    pub seq: i64,
    /// What is stored, and what this release makes of it.
    pub what: String,
}

/// What a history folds to.
#[derive(Clone, Debug, PartialEq)]
pub enum Folded {
    /// The state as JSON; `None` if the run never began.
    State(Option<Value>),
    /// Another version of the machine stepped some of it.
    OtherVersion,
}

/// How a replay went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Runs whose histories were re-stepped.
    pub runs: u64,
    /// Runs that another version of their machine stepped.
    pub other_versions: u64,
    /// Where they disagree.
    pub differences: Vec<Difference>,
}

/// Re-steps a history from its beginning.
pub fn fold<W: Workflow>(lines: &[History]) -> Result<Folded, Difference> {
    let mut state: Option<W::State> = None;
    for (expected, line) in (1_i64..).zip(lines) {
        let differs = |what: String| Difference { run: RunId(line.run_id), seq: line.seq, what };
        if line.seq != expected {
            return Err(differs(format!("line {expected} is missing")));
        }
        if line.machine_version.unsigned_abs() != W::VERSION {
            return Ok(Folded::OtherVersion);
        }
        let event: W::Event = serde_json::from_str(&line.event)
            .map_err(|error| differs(format!("{} cannot be read: {error}", line.event_name)))?;
        let at = Timestamp::from_millis(line.at);
        let stepped = match &state {
            Some(state) => W::step(state, &event, at),
            None => W::start(&event, at),
        };
        let stepped_to = stepped.as_ref().ok().map(|step| name(&step.state));
        if stepped_to != line.to_state {
            return Err(differs(format!(
                "{} led to {}, and now leads to {}",
                line.event_name,
                line.to_state.as_deref().unwrap_or("a refusal"),
                stepped_to.as_deref().unwrap_or("a refusal"),
            )));
        }
        if let Ok(step) = stepped {
            state = Some(step.state);
        }
    }
    let value = state.map(|state| serde_json::to_value(state).unwrap_or_default());
    Ok(Folded::State(value))
}

impl Engine {
    /// Re-steps every stored history that this version of its machine made.
    pub async fn replay(&self) -> Result<Replayed, EngineError> {
        let mut replayed = Replayed::default();
        let mut after = Uuid::nil();
        loop {
            let runs = run::scan_any_handle(self.database.read(), after, RUNS).await?;
            let Some(last) = runs.last() else { return Ok(replayed) };
            after = last.id;
            for run in &runs {
                self.replay_run(run, &mut replayed).await?;
            }
        }
    }

    async fn replay_run(&self, run: &run::Run, replayed: &mut Replayed) -> Result<(), EngineError> {
        let Some(machine) = self.registry.reader_of(&run.workflow, run.machine_version) else {
            replayed.other_versions += 1;
            return Ok(());
        };
        let lines = self.whole_history(run.id).await?;
        match (machine.fold)(&lines) {
            Ok(Folded::OtherVersion) => replayed.other_versions += 1,
            Ok(Folded::State(folded)) => {
                replayed.runs += 1;
                replayed.differences.extend(compare(run, lines.len(), folded));
            }
            Err(difference) => {
                replayed.runs += 1;
                replayed.differences.push(difference);
            }
        }
        Ok(())
    }
}

impl Engine {
    async fn whole_history(&self, run: Uuid) -> Result<Vec<History>, EngineError> {
        let mut lines: Vec<History> = Vec::new();
        loop {
            let after = lines.last().map_or(0, |line| line.seq);
            let page = entities::history::of_run(self.database.read(), run, after, LINES).await?;
            let is_last = page.len() < LINES as usize;
            lines.extend(page);
            if is_last {
                return Ok(lines);
            }
        }
    }
}

/// The stored state and version must be those that the history folds to.
fn compare(run: &run::Run, lines: usize, folded: Option<Value>) -> Option<Difference> {
    let stored: Option<Value> = serde_json::from_str(&run.state).ok();
    let differs = |what: String| Some(Difference { run: RunId(run.id), seq: run.version, what });
    if run.version != i64::try_from(lines).unwrap_or(i64::MAX) {
        return differs(format!("version {} has {lines} lines of history", run.version));
    }
    if stored != folded {
        return differs("the stored state is not what the history folds to".to_owned());
    }
    None
}
