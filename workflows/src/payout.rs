//! Payout: money on its way from Stripe to a bank, a creator's or the platform's own. One run for each payout
//! of Stripe's, which begins with whichever event about it comes first.
//!
//! It promises:
//! - a payout only goes forward, however late, early or often its events come;
//! - it is posted once, when it is paid, and taken back once, should the bank refuse it after that;
//! - one that failed or was called off before it was paid is never posted, even if the news that it was paid
//!   comes in afterwards.
//!
//! Diagram: `workflows/diagrams/payout.mmd`, explored from this file.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    effect::{Answer, Effect},
    id::{HandleId, PayoutId},
    ledger::{self, Transaction},
    message::Message,
    record::{PayoutUpdate, Record},
    stripe::{self, PayoutStatus},
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};

/// What a payout remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum State {
    /// Stripe prepares it.
    Pending { known: Report },
    /// The bank has it in hand.
    InTransit { known: Report },
    /// It is there, unless the bank refuses it within days.
    Paid { known: Report },
    /// The bank refused it: the money is back.
    Failed { known: Report },
    /// It was called off: the money is back.
    Canceled { known: Report },
}

/// What Stripe said of a payout.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Report {
    /// Whose bank it goes to.
    pub payee: Payee,
    /// The payout.
    pub payout: stripe::Payout,
}

/// Whose bank a payout goes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payee {
    /// A creator's.
    Creator {
        /// Whose.
        handle: HandleId,
        /// `acct_…`, which may be one that the handle has left.
        account: String,
    },
    /// The platform's own.
    Platform,
}

/// What can happen to a payout.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum Event {
    /// Stripe says how it stands, or stood when the event was made.
    Reported(Report),
    /// Not used: Stripe pays out, and is not stopped here.
    Cancel,
    /// Not used: nothing here waits for time.
    TimerFired,
}

/// A payout.
pub struct Payout;

impl Payee {
    /// The handle, if it is a creator.
    pub fn handle(&self) -> Option<HandleId> {
        match self {
            Self::Creator { handle, .. } => Some(*handle),
            Self::Platform => None,
        }
    }

    /// The connected account, if it is a creator.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Creator { account, .. } => Some(account),
            Self::Platform => None,
        }
    }
}

impl Report {
    /// The payout's id here: the same for every report of it.
    pub fn id(&self) -> PayoutId {
        let handle = self.payee.handle().unwrap_or(HandleId(Uuid::nil()));
        PayoutId::of(handle, &self.payout.id)
    }

    /// The report on its way to the payout's run.
    pub fn message(self) -> Message {
        Message::Payout(self.id(), Event::Reported(self))
    }

    fn posting(&self) -> Transaction {
        match &self.payee {
            Payee::Creator { handle, account } => ledger::payout(*handle, account, &self.payout),
            Payee::Platform => ledger::platform_payout(&self.payout),
        }
    }

    fn taken_back(&self) -> Transaction {
        match &self.payee {
            Payee::Creator { handle, account } => {
                ledger::payout_failed(*handle, account, &self.payout)
            }
            Payee::Platform => ledger::platform_payout_failed(&self.payout),
        }
    }
}

impl Workflow for Payout {
    const NAME: &'static str = "payout";
    const VERSION: u32 = 1;
    type State = State;
    type Event = Event;
    const TIMER_FIRED: Event = Event::TimerFired;
    const CANCEL: Event = Event::Cancel;

    fn start(event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        match event {
            Event::Reported(report) => {
                let step = to(report.clone());
                Ok(match report.payout.status {
                    PayoutStatus::Paid => step.record(Record::Ledger(report.posting())),
                    PayoutStatus::Pending
                    | PayoutStatus::InTransit
                    | PayoutStatus::Failed
                    | PayoutStatus::Canceled => step,
                })
            }
            _ => Err(Refused::because("a payout begins with a word of Stripe's")),
        }
    }

    fn step(state: &State, event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        use {Event as E, PayoutStatus as P, State as S};
        match (state, event) {
            (
                S::Pending { known } | S::InTransit { known } | S::Paid { known },
                E::Reported(report),
            )
            | (S::Failed { known } | S::Canceled { known }, E::Reported(report))
                if report.payout == known.payout =>
            {
                Err(Refused::because("this is known"))
            }

            (S::Pending { known }, E::Reported(report)) => Ok(onward(known, report)),
            (S::InTransit { known }, E::Reported(report)) => match report.payout.status {
                P::Pending => Err(late()),
                P::InTransit | P::Paid | P::Failed | P::Canceled => Ok(onward(known, report)),
            },
            (S::Paid { known }, E::Reported(report)) => match report.payout.status {
                P::Pending | P::InTransit => Err(late()),
                // When it arrives was mended.
                P::Paid => Ok(to(same(known, report))),
                P::Failed | P::Canceled => Ok(back(known, report)),
            },
            // Why it failed may be told later; that it was paid once is old.
            (S::Failed { known }, E::Reported(report)) => match report.payout.status {
                P::Failed => Ok(to(same(known, report))),
                P::Pending | P::InTransit | P::Paid | P::Canceled => Err(late()),
            },
            (S::Canceled { known }, E::Reported(report)) => match report.payout.status {
                P::Canceled => Ok(to(same(known, report))),
                P::Pending | P::InTransit | P::Paid | P::Failed => Err(late()),
            },

            (
                S::Pending { .. }
                | S::InTransit { .. }
                | S::Paid { .. }
                | S::Failed { .. }
                | S::Canceled { .. },
                _,
            ) => Err(Refused::unplaced(state, event)),
        }
    }

    fn on_answer(_effect: &Effect, _answer: &Answer) -> Option<Event> {
        None
    }

    fn standing(state: &State) -> Standing {
        match state {
            State::Pending { .. } => Standing::waiting("Stripe to hand the money to the bank"),
            State::InTransit { .. } => Standing::waiting("the bank to have the money"),
            State::Paid { .. } | State::Failed { .. } | State::Canceled { .. } => Standing::Done,
        }
    }
}

fn late() -> Refused {
    Refused::because("the payout is further than that")
}

/// How much is paid out never changes: what is taken back is what was posted.
fn same(known: &Report, report: &Report) -> Report {
    let payout = stripe::Payout {
        id: known.payout.id.clone(),
        amount: known.payout.amount,
        currency: known.payout.currency,
        ..report.payout.clone()
    };
    Report { payee: known.payee.clone(), payout }
}

/// On from where nothing is posted yet.
fn onward(known: &Report, report: &Report) -> Step<State> {
    let report = same(known, report);
    match report.payout.status {
        PayoutStatus::Paid => {
            let posting = report.posting();
            to(report).record(Record::Ledger(posting))
        }
        PayoutStatus::Pending
        | PayoutStatus::InTransit
        | PayoutStatus::Failed
        | PayoutStatus::Canceled => to(report),
    }
}

/// It was posted, and comes back.
fn back(known: &Report, report: &Report) -> Step<State> {
    let report = same(known, report);
    let posting = report.taken_back();
    to(report).record(Record::Ledger(posting))
}

/// To the state that Stripe's status is, with the row that the API shows.
fn to(known: Report) -> Step<State> {
    let row = PayoutUpdate { payout_id: known.id(), report: known.clone() };
    let state = match known.payout.status {
        PayoutStatus::Pending => State::Pending { known },
        PayoutStatus::InTransit => State::InTransit { known },
        PayoutStatus::Paid => State::Paid { known },
        PayoutStatus::Failed => State::Failed { known },
        PayoutStatus::Canceled => State::Canceled { known },
    };
    Step::to(state).record(Record::Payout(Box::new(row)))
}
