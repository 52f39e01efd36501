//! The sweeper: finds whatever is due, so that a lost wake-up costs a second at most.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use entities::{inbox, login_link, node, operator_case, outbox, rollup_queue, run};
use uuid::Uuid;
use workflows::{
    Timestamp,
    earnings_rollup::{EarningsRollup, Event},
    effect::Queue,
    id::{HandleId, RunId},
    message::Message,
    record::CaseKind,
    workflow::Workflow,
};

use crate::{Engine, EngineError, WakeUp, Wakeups, send, wake::Work};

/// How long a message may wait for its run to become known before a person must decide.
const UNROUTED_FOR: i64 = 10 * Timestamp::MINUTE;
/// How long a process may be silent before it is forgotten.
const SILENT_FOR: i64 = Timestamp::MINUTE;
/// How long a link to Stripe's dashboard is kept for whoever asked, in milliseconds. They wait for seconds.
const LOGIN_LINKS_KEPT: i64 = Timestamp::MINUTE;
/// How often a handle is rolled up at most: a creator who sells all day long shall not write a history of it.
const ROLLUP_EVERY: i64 = 5 * Timestamp::SECOND;
/// How many handles' rollups one sweep sets off.
const ROLLUPS: u64 = 256;

impl Engine {
    /// Takes back expired leases, routes what has become known, sets off rollups, drops secrets that nobody came
    /// for, and wakes whoever is given
    /// for what is due: those who work in this process, directly, so that no transport can be in the way.
    pub async fn sweep(&self, wakeups: &dyn Wakeups) -> Result<(), EngineError> {
        let db = self.database.write();
        outbox::expire_leases(db, &self.clock).await?;
        inbox::route(db).await?;
        self.set_unrouted_aside().await?;
        self.set_off_rollups().await?;
        login_link::delete_old(db, self.clock.local_millis() - LOGIN_LINKS_KEPT).await?;
        for work in self.due().await?.into_works() {
            wakeups.wake(work);
        }
        Ok(())
    }

    /// Notes that this process is there, and forgets those that are not.
    pub async fn heartbeat(&self, role: &str, release: &str) -> Result<(), EngineError> {
        let db = self.database.write();
        node::seen(db, &self.clock, &self.node, role, release).await?;
        node::forget_silent(db, &self.clock, SILENT_FOR).await?;
        Ok(())
    }

    /// What is due now.
    pub async fn due(&self) -> Result<WakeUp, EngineError> {
        let db = self.database.write();
        let mut wake_up = WakeUp::default();
        if inbox::is_due(db, &self.clock).await? || !run::due(db, &self.clock, 1).await?.is_empty()
        {
            wake_up.add(Work::Inbox);
        }
        let queues =
            [Queue::Stripe, Queue::Mail, Queue::Marker, Queue::News, Queue::Local].map(Into::into);
        let due = outbox::due_queues(db, &self.clock, &queues).await?;
        due.iter().filter_map(|name| Work::from_name(name)).for_each(|work| wake_up.add(work));
        Ok(wake_up)
    }

    /// Messages about objects that nobody has come to know are set aside for a person.
    async fn set_unrouted_aside(&self) -> Result<(), EngineError> {
        let transaction = self.database.begin().await?;
        let unrouted = inbox::set_aside(&transaction, &self.clock, UNROUTED_FOR).await?;
        if unrouted.is_empty() {
            return Ok(transaction.rollback().await?);
        }
        let kind: &'static str = CaseKind::UnmatchedWebhook.into();
        let cases: Vec<_> = unrouted
            .into_iter()
            .map(|message| operator_case::OperatorCase {
                id: Uuid::now_v7(),
                kind: kind.to_owned(),
                detail: format!(
                    "event {} is about {}, which no run knows: look it up at Stripe",
                    message.source_id,
                    message.stripe_object.unwrap_or_else(|| "an unnamed object".to_owned())
                ),
                key: message.source_id,
                run_id: None,
                status: "OPEN".to_owned(),
                created_at: self.clock.local_millis(),
            })
            .collect();
        operator_case::open(&transaction, &cases).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Handles with queued ledger transactions are rolled up, one rollup a handle at a time. Processes that
    /// sweep at once name the same version of the run, and so send one message.
    async fn set_off_rollups(&self) -> Result<(), EngineError> {
        let db = self.database.write();
        let handles = rollup_queue::handles(db, self.rollups.after(), ROLLUPS).await?;
        self.rollups.seen(&handles);
        if handles.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> =
            handles.iter().map(|handle| RunId::of(EarningsRollup::NAME, *handle).0).collect();
        let runs: BTreeMap<_, _> = run::find_many_any_handle(db, &ids)
            .await?
            .into_iter()
            .map(|run| (run.id, run))
            .collect();
        let now = self.clock.local_millis();
        let mut messages = Vec::new();
        for (handle, id) in handles.into_iter().zip(ids) {
            let version = match runs.get(&id) {
                Some(run) if run.status == "ACTIVE" => continue,
                Some(run) if run.updated_at > now - ROLLUP_EVERY => continue,
                Some(run) => run.version,
                None => 0,
            };
            let handle = HandleId(handle);
            let message = Message::EarningsRollup(handle, Event::Dirty { handle });
            let source_id = format!("{handle}:{version}");
            messages.push(send::row("rollup", source_id, &message, Some(handle))?);
        }
        if !messages.is_empty() {
            inbox::insert(db, &self.clock, &messages).await?;
        }
        Ok(())
    }
}

/// Where the next sweep goes on looking for handles to roll up: every handle's turn comes, however many sell.
#[derive(Default)]
pub struct Rollups(Mutex<Uuid>);

impl Rollups {
    fn after(&self) -> Uuid {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self, handles: &[Uuid]) {
        let is_last = handles.len() < ROLLUPS as usize;
        let next = handles.last().filter(|_| !is_last).copied().unwrap_or(Uuid::nil());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}
