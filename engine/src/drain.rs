//! Drain: takes runs, never messages. The run's row is the engine's only lock.
//!
//! A batch reads, unlocked, which runs have due messages or timers; makes the runs that are missing; locks
//! those that nobody else holds, in the order of their ids; and only then, in a statement of its own and so
//! with a fresh snapshot, reads their messages. It steps in memory and writes everything in one transaction.

use std::{
    collections::{BTreeMap, HashSet},
    sync::atomic::Ordering,
};

use entities::{inbox, run};
use sea_orm::ConnectionTrait;
use uuid::Uuid;
use workflows::{Timestamp, id::RunId};

use crate::{
    Engine, EngineError, WakeUp, backoff, commit, is_passing,
    step::{Walk, Walked},
    wake::Work,
};

/// How many runs a batch takes at most.
pub const BATCH: u64 = 256;
/// How many messages of a run a batch takes at most.
const PER_RUN: u64 = 32;
/// How many runs are taken singly after a start: as many as a process that died may have had in hand.
pub const CAUTIOUS_RUNS: i64 = BATCH.cast_signed();
/// How often a message is tried before a person must decide.
const MAX_ATTEMPTS: i32 = 10;
/// How long a run is left to a newer release.
const LEAVE_TO_NEWER: i64 = 5 * Timestamp::SECOND;
/// How long a run is left alone that cannot be read.
const LEAVE_UNREADABLE: i64 = Timestamp::MINUTE;
/// How often a batch that failed in passing (a deadlock) is tried again at once.
const PASSING_RETRIES: usize = 3;

/// The runs that a batch is about.
#[derive(Default)]
struct Candidates {
    runs: BTreeMap<Uuid, Candidate>,
}

#[derive(Clone)]
struct Candidate {
    missing: Option<run::NewRun>,
}

impl Engine {
    /// Steps whatever is due until nothing is. Returns how many runs were stepped.
    pub async fn drain(&self) -> Result<usize, EngineError> {
        let mut total = 0;
        loop {
            let stepped = self.drain_batch().await?;
            total += stepped;
            if stepped == 0 {
                return Ok(total);
            }
        }
    }

    /// Steps one batch of what is due.
    pub async fn drain_batch(&self) -> Result<usize, EngineError> {
        let candidates = self.candidates().await?;
        if candidates.runs.is_empty() {
            self.cautious.store(0, Ordering::Relaxed);
            return Ok(0);
        }
        if self.cautious.load(Ordering::Relaxed) > 0 {
            return self.singly(&candidates, PER_RUN).await;
        }
        for _ in 0..PASSING_RETRIES {
            match self.attempt(&candidates, PER_RUN).await {
                Ok(stepped) => return Ok(stepped),
                Err(error) if is_passing(&error) => {
                    tracing::debug!(%error, "a batch failed in passing");
                }
                Err(error) => {
                    tracing::warn!(%error, "a batch failed: its runs are taken singly");
                    return self.singly(&candidates, 1).await;
                }
            }
        }
        self.attempt(&candidates, PER_RUN).await
    }

    /// Which runs have something due. Unlocked: what is no longer true then is found out later.
    async fn candidates(&self) -> Result<Candidates, EngineError> {
        let db = self.database.write();
        let mut candidates = Candidates::default();
        let (messages, timers) = futures::try_join!(
            inbox::due_runs(db, &self.clock, BATCH),
            run::due(db, &self.clock, BATCH)
        )?;
        for due in messages {
            let missing = (!due.run_exists).then(|| run::NewRun {
                id: due.run_id,
                subject: due.subject.unwrap_or_else(|| RunId(due.run_id).subject(&due.workflow)),
                workflow: due.workflow,
                handle_id: due.handle_id,
            });
            candidates.runs.entry(due.run_id).or_insert(Candidate { missing });
        }
        for id in timers {
            candidates.runs.entry(id).or_insert(Candidate { missing: None });
        }
        Ok(candidates)
    }

    /// One transaction over all the candidates that nobody else holds.
    async fn attempt(&self, candidates: &Candidates, per_run: u64) -> Result<usize, EngineError> {
        let transaction = self.database.begin().await?;
        let (walked, stepped) = self.walk(&transaction, candidates, per_run).await?;
        if walked.is_empty() {
            transaction.commit().await?;
            return Ok(stepped);
        }
        let wake_up = commit::write(&transaction, self, walked).await?;
        transaction.commit().await?;
        metrics::counter!("sluice_runs_stepped_total").increment(stepped as u64);
        self.wake(wake_up);
        Ok(stepped)
    }

    /// Locks, reads and steps.
    async fn walk(
        &self,
        db: &impl ConnectionTrait,
        candidates: &Candidates,
        per_run: u64,
    ) -> Result<(Vec<Walked>, usize), EngineError> {
        let missing: Vec<_> =
            candidates.runs.values().filter_map(|candidate| candidate.missing.clone()).collect();
        if !missing.is_empty() {
            run::insert_missing(db, &self.clock, &missing).await?;
        }
        let ids: Vec<_> = candidates.runs.keys().copied().collect();
        let locked = run::lock(db, &self.clock, &ids).await?;
        let locked = self.leave_to_newer(db, locked).await?;
        let ids: Vec<_> = locked.iter().map(|locked| locked.run.id).collect();
        if ids.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let due = inbox::due_of_runs(db, &self.clock, &ids, per_run).await?;
        let mut walked = Vec::with_capacity(locked.len());
        let mut unreadable = Vec::new();
        for locked in &locked {
            let Some(machine) = self.registry.find(&locked.run.workflow) else { continue };
            let from = due.partition_point(|message| message.run_id < locked.run.id);
            let to = due.partition_point(|message| message.run_id <= locked.run.id);
            let messages = &due[from..to];
            match (machine.walk)(Walk { run: &locked.run, messages, now: locked.now }) {
                Ok(stepped) => walked.push(stepped),
                Err(error) => {
                    tracing::error!(run = %RunId(locked.run.id), %error, "a run cannot be read");
                    unreadable.push(locked.run.id);
                }
            }
        }
        if let Some(first) = locked.first().filter(|_| !unreadable.is_empty()) {
            // The run's messages are not to blame: they wait for a release that can read it.
            inbox::postpone(db, &self.clock, &unreadable, LEAVE_UNREADABLE).await?;
            run::postpone(db, &unreadable, first.now + LEAVE_UNREADABLE).await?;
        }
        let walked: Vec<_> = walked.into_iter().filter(|walked| !walked.is_nothing()).collect();
        let stepped = walked.len();
        Ok((walked, stepped))
    }

    /// Leaves runs alone that a newer release stored, or whose machine this release does not know.
    async fn leave_to_newer(
        &self,
        db: &impl ConnectionTrait,
        locked: Vec<run::Locked>,
    ) -> Result<Vec<run::Locked>, EngineError> {
        let (ours, newer): (Vec<_>, Vec<_>) = locked.into_iter().partition(|locked| {
            self.registry.reader_of(&locked.run.workflow, locked.run.machine_version).is_some()
        });
        if let Some(first) = newer.first() {
            let ids: Vec<_> = newer.iter().map(|locked| locked.run.id).collect();
            inbox::postpone(db, &self.clock, &ids, LEAVE_TO_NEWER).await?;
            run::postpone(db, &ids, first.now + LEAVE_TO_NEWER).await?;
        }
        Ok(ours)
    }

    /// Takes the runs one by one, so that poison hurts only itself. The try is counted and committed before
    /// it is made: a message that kills the process goes dead, too.
    async fn singly(&self, candidates: &Candidates, per_run: u64) -> Result<usize, EngineError> {
        let mut stepped = 0;
        for (id, candidate) in &candidates.runs {
            self.cautious.fetch_sub(1, Ordering::Relaxed);
            let db = self.database.write();
            let counted = inbox::count_try(db, &self.clock, *id).await?;
            let never = counted.as_ref().filter(|message| message.attempt > MAX_ATTEMPTS);
            if let Some(message) = never {
                tracing::error!(run = %id, seq = message.seq, "a message was never survived");
                let error = "every try of this message ended with its process";
                inbox::fail(db, &self.clock, message.seq, inbox::Verdict::Dead, error).await?;
                stepped += 1;
                continue;
            }
            let one = Candidates { runs: BTreeMap::from([(*id, candidate.clone())]) };
            match self.attempt(&one, per_run).await {
                Ok(count) if count > 0 => stepped += count,
                // Somebody else holds the run, or the database is away: that was no try.
                not_tried @ Ok(_) => {
                    self.uncount(counted.as_ref()).await?;
                    not_tried?;
                }
                Err(error) if is_passing(&error) => {
                    self.uncount(counted.as_ref()).await?;
                    return Err(error);
                }
                Err(error) => {
                    self.set_back(*id, &error).await?;
                    stepped += 1;
                }
            }
        }
        Ok(stepped)
    }

    async fn uncount(&self, counted: Option<&inbox::Counted>) -> Result<(), EngineError> {
        if let Some(message) = counted {
            inbox::uncount_try(self.database.write(), message.seq).await?;
        }
        Ok(())
    }

    /// The oldest due message of a run made the transaction fail.
    async fn set_back(&self, run: Uuid, error: &EngineError) -> Result<(), EngineError> {
        let db = self.database.write();
        let due = inbox::due_of_runs(db, &self.clock, &[run], 1).await?;
        let Some(message) = due.first() else {
            // A timer: it is put off, so that it does not come up in every batch.
            tracing::error!(%run, %error, "a timer's step cannot be written");
            let wake_at = self.clock.local_millis() + backoff::MAX_DELAY;
            run::postpone(db, &[run], wake_at).await?;
            return Ok(());
        };
        let verdict = verdict(message.attempt);
        tracing::warn!(%run, seq = message.seq, %error, ?verdict, "a message failed");
        inbox::fail(db, &self.clock, message.seq, verdict, &error.to_string()).await?;
        Ok(())
    }
}

/// What becomes of a message that has been tried so often.
pub(crate) fn verdict(attempt: i32) -> inbox::Verdict {
    if attempt >= MAX_ATTEMPTS {
        inbox::Verdict::Dead
    } else {
        inbox::Verdict::Again { after: backoff::delay(attempt) }
    }
}

impl Walked {
    fn is_nothing(&self) -> bool {
        self.stepped.is_none() && self.finished.is_empty() && self.failed.is_empty()
    }
}

/// Which outbox queues new effects are on.
pub(crate) fn wake_for(walked: &[Walked], sends: bool) -> WakeUp {
    let works: HashSet<_> = walked
        .iter()
        .flat_map(|walked| &walked.effects)
        .map(|wanted| Work::of(wanted.effect.queue()))
        .collect();
    let mut wake_up = WakeUp::default();
    works.into_iter().for_each(|work| wake_up.add(work));
    if sends {
        wake_up.add(Work::Inbox);
    }
    wake_up
}
