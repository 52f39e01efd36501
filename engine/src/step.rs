//! Stepping a run in memory: its messages in order, then its timer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use entities::{history::History, inbox, run};
use workflows::{
    Timestamp,
    effect::Effect,
    record::Record,
    workflow::{Refused, Standing, Step, Unreadable, Workflow},
};

/// A locked run and what has happened to it.
pub struct Walk<'a> {
    pub(crate) run: &'a run::Run,
    pub(crate) messages: &'a [inbox::Due],
    /// By the database's clock where it has one.
    pub(crate) now: i64,
}

/// All that became of a run, to be written in one transaction.
#[derive(Debug, Default)]
pub struct Walked {
    /// The machine's name.
    pub(crate) workflow: &'static str,
    pub(crate) stepped: Option<run::Stepped>,
    pub(crate) history: Vec<History>,
    pub(crate) finished: Vec<inbox::Finished>,
    pub(crate) failed: Vec<Poisoned>,
    pub(crate) effects: Vec<Wanted>,
    pub(crate) records: Vec<(Timestamp, Record)>,
    /// Whose run it is: those that it writes to are theirs, too.
    pub(crate) handle_id: Option<uuid::Uuid>,
    /// A cancellation was accepted: what was never tried is called off.
    pub(crate) cancelled: bool,
}

/// A message that could not be stepped: it cannot be read, or the step panicked.
#[derive(Debug)]
pub struct Poisoned {
    pub(crate) seq: i64,
    pub(crate) attempt: i32,
    pub(crate) error: String,
}

/// An effect that a step asked for.
#[derive(Debug)]
pub struct Wanted {
    pub(crate) version: i64,
    pub(crate) n: i32,
    pub(crate) effect: Effect,
}

/// How long a timer is put off when its step panics.
const POISONED_TIMER: i64 = 5 * Timestamp::MINUTE;

/// Reads a stored state.
pub fn read<W: Workflow>(version: u32, state: &str) -> Result<W::State, Unreadable> {
    let unreadable = |reason: String| Unreadable { workflow: W::NAME, version, reason };
    let stored = serde_json::from_str(state).map_err(|error| unreadable(error.to_string()))?;
    W::upgrade(version, stored)
}

/// Steps a run through its messages and its timer.
pub fn walk<W: Workflow>(walk: Walk<'_>) -> Result<Walked, Unreadable> {
    let mut walker = Walker::<W>::new(walk.run, walk.now)?;
    for message in walk.messages {
        walker.message(message);
    }
    walker.timer();
    Ok(walker.finish())
}

struct Walker<'a, W: Workflow> {
    run: &'a run::Run,
    state: Option<W::State>,
    version: i64,
    wake_at: Option<i64>,
    at: Timestamp,
    changed: bool,
    walked: Walked,
}

impl<'a, W: Workflow> Walker<'a, W> {
    fn new(run: &'a run::Run, now: i64) -> Result<Self, Unreadable> {
        let state = match run.state.as_str() {
            "" => None,
            stored => Some(read::<W>(run.machine_version.unsigned_abs(), stored)?),
        };
        Ok(Self {
            state,
            version: run.version,
            wake_at: run.wake_at,
            // Event time never goes back within a run, whatever the clock does.
            at: Timestamp::from_millis(now.max(run.updated_at)),
            changed: false,
            walked: Walked { workflow: W::NAME, handle_id: run.handle_id, ..Walked::default() },
            run,
        })
    }

    fn message(&mut self, message: &inbox::Due) {
        let stepped = serde_json::from_str::<W::Event>(&message.event)
            .map_err(|error| format!("the event cannot be read: {error}"))
            .and_then(|event| self.step(&event).map(|step| (event, step)));
        match stepped {
            Ok((event, Ok(step))) => {
                self.finished(message, &event, None);
                self.accepted(&event, step, Some(message.seq));
            }
            Ok((event, Err(refused))) => {
                self.finished(message, &event, Some(&refused));
                self.refused(&event, refused, Some(message.seq));
            }
            Err(error) => self.walked.failed.push(Poisoned {
                seq: message.seq,
                attempt: message.attempt,
                error,
            }),
        }
    }

    fn timer(&mut self) {
        let due = self.wake_at.is_some_and(|wake_at| wake_at <= self.at.millis());
        if !due || self.state.is_none() {
            return;
        }
        match self.step(&W::TIMER_FIRED) {
            Ok(Ok(step)) => self.accepted(&W::TIMER_FIRED, step, None),
            Ok(Err(refused)) => {
                // A timer that nobody wants must not fire again.
                self.wake_at = None;
                self.refused(&W::TIMER_FIRED, refused, None);
            }
            Err(error) => {
                tracing::error!(run = %self.run.id, workflow = W::NAME, error, "a timer's step failed");
                self.wake_at = Some(self.at.plus(POISONED_TIMER).millis());
                self.changed = true;
            }
        }
    }

    /// The step itself. A panic is the message's fault, not the batch's.
    fn step(&self, event: &W::Event) -> Result<Result<Step<W::State>, Refused>, String> {
        catch_unwind(AssertUnwindSafe(|| match &self.state {
            Some(state) => W::step(state, event, self.at),
            None => W::start(event, self.at),
        }))
        .map_err(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            format!("the step panicked: {}", text.as_deref().unwrap_or("without a message"))
        })
    }

    fn accepted(&mut self, event: &W::Event, step: Step<W::State>, inbox_seq: Option<i64>) {
        let from = self.state.take();
        self.version += 1;
        self.wake_at = step.wake_at.map(Timestamp::millis);
        if *event == W::CANCEL {
            // What was asked for a moment ago, in this very batch, was never tried either.
            self.walked.cancelled = true;
            self.walked.effects.clear();
        }
        let version = self.version;
        let effects = (0_i32..).zip(step.effects);
        self.walked.effects.extend(effects.map(|(n, effect)| Wanted { version, n, effect }));
        self.walked.records.extend(step.records.into_iter().map(|record| (self.at, record)));
        let to = Some(name(&step.state));
        self.line(event, from.as_ref().map(name), to, None, inbox_seq);
        self.state = Some(step.state);
    }

    fn refused(&mut self, event: &W::Event, refused: Refused, inbox_seq: Option<i64>) {
        self.version += 1;
        let from = self.state.as_ref().map(name);
        self.line(event, from, None, Some(refused.reason), inbox_seq);
    }

    fn line(
        &mut self,
        event: &W::Event,
        from_state: Option<String>,
        to_state: Option<String>,
        refused: Option<String>,
        inbox_seq: Option<i64>,
    ) {
        self.changed = true;
        let masked = W::masked(event);
        self.walked.history.push(History {
            run_id: self.run.id,
            seq: self.version,
            event_name: name(event),
            event: json(masked.as_ref().unwrap_or(event)),
            from_state,
            to_state,
            refused,
            machine_version: W::VERSION.cast_signed(),
            inbox_seq,
            at: self.at.millis(),
        });
    }

    fn finished(&mut self, message: &inbox::Due, event: &W::Event, refused: Option<&Refused>) {
        self.walked.finished.push(inbox::Finished {
            seq: message.seq,
            status: if refused.is_some() { "IGNORED" } else { "DONE" },
            reason: refused.map(|refused| refused.reason.clone()),
            masked: W::masked(event).map(|masked| json(&masked)),
        });
    }

    fn finish(mut self) -> Walked {
        if self.changed {
            let status = match self.state.as_ref().map(W::standing) {
                Some(Standing::Waiting(_)) => "ACTIVE",
                Some(Standing::Cancelled) => "CANCELLED",
                Some(Standing::Done) | None => "DONE",
            };
            self.walked.stepped = Some(run::Stepped {
                id: self.run.id,
                from_version: self.run.version,
                version: self.version,
                state_name: self.state.as_ref().map(name).unwrap_or_default(),
                state: self.state.as_ref().map(json).unwrap_or_default(),
                machine_version: W::VERSION.cast_signed(),
                status,
                wake_at: self.wake_at,
                updated_at: self.at.millis(),
            });
        }
        self.walked
    }
}

/// The variant's name.
pub fn name<T: Clone + Into<&'static str>>(value: &T) -> String {
    value.clone().into().to_owned()
}

/// Machines' own types are plain data, for which this cannot fail; an empty text would be refused when read.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
