//! Reading a list of Stripe's, window by window and page by page. Where it has come is kept after each page, so
//! that a process that is killed is followed by one that goes on at the next page.
//!
//! What is kept is only what is true (everything of the window down to an object has been dealt with), so that
//! two processes which overlap cannot harm each other: at worst a page is read twice.

use std::time::Duration;

use async_trait::async_trait;
use engine::EngineError;
use entities::{cursor, reconciliation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stripe::StripeError;
use uuid::Uuid;
use workflows::Timestamp;

use super::{Counts, OVERLAP, Reconciler, Report, Round, whose};
use crate::stripe::{Created, Scope, Wanted};

const PAGE: i64 = 100;
/// Calls that people wait for come first.
const BETWEEN_PAGES: Duration = Duration::from_millis(20);

/// A list that is read, and what is done with it.
#[async_trait]
pub(super) trait List: Sync {
    /// What the reading is called: part of the name of its cursor.
    const KIND: &'static str;
    /// Under which lease it is read.
    const ROUND: Round;
    /// What is asked for.
    fn wanted(&self, created: Created) -> Wanted;
    /// Whose it is.
    fn scope(&self) -> &Scope;
    /// Which part of the list it is, where it is read in parts.
    fn part(&self) -> &'static str {
        ""
    }
    /// Deals with a page.
    async fn take(&self, rows: Vec<Value>) -> Result<Counts, EngineError>;
}

/// How far a list is to be read, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Where the first reading begins.
    pub beginning: i64,
    /// From when on it is read once more, though it was.
    pub since: Option<i64>,
    /// Until when.
    pub to: i64,
}

/// How far a list was read.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// All that Stripe says happened until then, in seconds, was dealt with.
    reached: Option<i64>,
    /// What is being read.
    window: Option<Window>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Window {
    id: Uuid,
    from: i64,
    to: i64,
    /// All that is newer than this object was dealt with.
    after: Option<String>,
    started_at: i64,
    counts: Counts,
}

impl Progress {
    /// The window to go on with, or the next one.
    fn window(&mut self, reach: Reach, now: i64) -> Window {
        let next = self.reached.map_or(reach.beginning, |reached| reached - OVERLAP);
        // Never less than what is due: there are no gaps.
        let from = reach.since.map_or(next, |since| since.min(next));
        let going_on = self.window.take();
        going_on.filter(|window| reach.since.is_none_or(|since| window.from <= since)).unwrap_or(
            Window {
                id: Uuid::now_v7(),
                from,
                to: reach.to,
                after: None,
                started_at: now,
                counts: Counts::default(),
            },
        )
    }
}

/// How a page came out.
enum Turned {
    /// There is another.
    On(Window),
    /// It was the last.
    Through(Window),
    /// Stripe cannot be asked now, or the process is to stop.
    Stopped(Window, String),
    /// The account is not ours to read any more.
    Refused(Window, String),
}

impl Reconciler {
    /// Until when a list was read, in seconds.
    pub(super) async fn reached<L: List>(&self, list: &L) -> Result<Option<i64>, EngineError> {
        Ok(self.progress(&name(list)).await?.reached)
    }

    /// Reads a list as far as it is to be read, or until something is in the way.
    pub(super) async fn read<L: List>(
        &self,
        list: &L,
        reach: Reach,
    ) -> Result<Report, EngineError> {
        let name = name(list);
        let mut progress = self.progress(&name).await?;
        let mut report = Report::default();
        loop {
            let mut window = progress.window(reach, self.engine.clock().local_millis());
            let before = window.counts;
            let through = loop {
                match self.turn(list, window).await? {
                    Turned::On(next) => {
                        self.keep(&name, &progress, Some(&next)).await?;
                        self.record(list, &next, State::UnderWay).await?;
                        window = next;
                    }
                    Turned::Through(window) => break window,
                    Turned::Stopped(window, why) => {
                        self.leave(list, &progress, &window, &why).await?;
                        let counts = report.counts.and(since(window.counts, before));
                        return Ok(Report { counts, stopped: Some(why) });
                    }
                    Turned::Refused(window, why) => {
                        self.leave(list, &progress, &window, &why).await?;
                        return Ok(report);
                    }
                }
            };
            progress.reached = progress.reached.max(Some(through.to));
            self.keep(&name, &progress, None).await?;
            self.record(list, &through, State::Through).await?;
            report.counts = report.counts.and(since(through.counts, before));
            // The window may be an older one, that another process began.
            if through.to >= reach.to {
                return Ok(report);
            }
        }
    }

    /// Reads a page and deals with it.
    async fn turn<L: List>(&self, list: &L, mut window: Window) -> Result<Turned, EngineError> {
        if self.stop.is_cancelled() {
            return Ok(Turned::Stopped(window, "the process is to stop".to_owned()));
        }
        if !self.hold_on(L::ROUND).await? {
            return Ok(Turned::Stopped(window, "another process has taken over".to_owned()));
        }
        let created = Created { gte: window.from, lte: window.to };
        let wanted =
            Wanted { limit: PAGE, starting_after: window.after.clone(), ..list.wanted(created) };
        let page = match self.stripe.list(list.scope(), &wanted).await {
            Ok(page) => page,
            Err(error) if !is_refusal(&error) => return Ok(Turned::Stopped(window, said(&error))),
            // The object may be too old to be known by now: then the window is read anew.
            Err(error) if window.after.take().is_some() => {
                return Ok(Turned::Stopped(window, said(&error)));
            }
            Err(error) => {
                return Ok(match list.scope() {
                    Scope::Platform => Turned::Stopped(window, said(&error)),
                    Scope::Account(_) => Turned::Refused(window, said(&error)),
                });
            }
        };
        let last = page.rows.last().and_then(|row| row["id"].as_str()).map(str::to_owned);
        let listed = Counts { listed: page.rows.len() as i64, ..Counts::default() };
        window.counts = window.counts.and(listed).and(list.take(page.rows).await?);
        match last {
            Some(last) if page.has_more => {
                window.after = Some(last);
                tokio::time::sleep(BETWEEN_PAGES).await;
                Ok(Turned::On(window))
            }
            _ => Ok(Turned::Through(window)),
        }
    }

    /// Leaves a window where it is.
    async fn leave<L: List>(
        &self,
        list: &L,
        progress: &Progress,
        window: &Window,
        why: &str,
    ) -> Result<(), EngineError> {
        self.keep(&name(list), progress, Some(window)).await?;
        self.record(list, window, State::Stopped(why)).await?;
        let whose = whose(list.scope());
        tracing::warn!(list = L::KIND, whose, why, "not read to its end: it goes on next time");
        Ok(())
    }

    async fn progress(&self, name: &str) -> Result<Progress, EngineError> {
        let kept = cursor::find(self.engine.database().write(), name).await?;
        Ok(kept.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default())
    }

    async fn keep(
        &self,
        name: &str,
        progress: &Progress,
        window: Option<&Window>,
    ) -> Result<(), EngineError> {
        let progress = Progress { reached: progress.reached, window: window.cloned() };
        let text = serde_json::to_string(&progress)?;
        Ok(cursor::set(self.engine.database().write(), name, &text).await?)
    }

    /// For operators. Of connected accounts, only where there was something to see.
    async fn record<L: List>(
        &self,
        list: &L,
        window: &Window,
        state: State<'_>,
    ) -> Result<(), EngineError> {
        let is_quiet = window.counts == Counts::default() && !matches!(state, State::Stopped(_));
        if is_quiet && *list.scope() != Scope::Platform {
            return Ok(());
        }
        let now = self.engine.clock().local_millis();
        let row = reconciliation::Reconciliation {
            id: window.id,
            kind: L::KIND.to_owned(),
            account: list.scope().account().to_owned(),
            window_from: window.from,
            window_to: window.to,
            listed: window.counts.listed,
            added: window.counts.added,
            matched: window.counts.matched,
            missing_here: window.counts.missing_here,
            missing_at_stripe: window.counts.missing_at_stripe,
            amount_differs: window.counts.amount_differs,
            elsewhere: window.counts.elsewhere,
            started_at: window.started_at,
            finished_at: matches!(state, State::Through).then_some(now),
            error: match state {
                State::Stopped(why) => Some(why.to_owned()),
                State::UnderWay | State::Through => None,
            },
        };
        Ok(reconciliation::save(self.engine.database().write(), &row).await?)
    }
}

/// How a reading stands.
#[derive(Clone, Copy)]
enum State<'a> {
    UnderWay,
    Through,
    Stopped(&'a str),
}

fn name<L: List>(list: &L) -> String {
    format!("reconcile:{}:{}{}", L::KIND, list.scope().account(), list.part())
}

/// What was found by this reading, of a window that another may have begun.
fn since(now: Counts, before: Counts) -> Counts {
    Counts {
        listed: now.listed - before.listed,
        added: now.added - before.added,
        matched: now.matched - before.matched,
        missing_here: now.missing_here - before.missing_here,
        missing_at_stripe: now.missing_at_stripe - before.missing_at_stripe,
        amount_differs: now.amount_differs - before.amount_differs,
        elsewhere: now.elsewhere - before.elsewhere,
    }
}

/// Whether Stripe will say the same next time.
pub fn is_refusal(error: &StripeError) -> bool {
    matches!(error, StripeError::Stripe(_, 400 | 403 | 404))
}

/// What a person is told, in a line.
pub fn said(error: &StripeError) -> String {
    match error {
        StripeError::Stripe(api, status) => {
            let message = api.message.as_deref().unwrap_or("no message");
            format!("Stripe answered {status}: {message}")
        }
        other => other.to_string(),
    }
}

/// The milliseconds of Stripe's seconds.
pub fn millis(secs: i64) -> i64 {
    secs * Timestamp::SECOND
}
