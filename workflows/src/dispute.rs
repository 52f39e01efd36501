//! Dispute: a payment that its buyer's bank takes back, or tries to. One run for each of Stripe's disputes.
//!
//! It promises:
//! - what Stripe takes, gives back, and keeps for its trouble is posted, each once, whatever order it is told
//!   in: the purchase reads the dispute, and tells this run what it read;
//! - a decision of the bank's is final here as it is at Stripe.
//!
//! The purchase ([`crate::checkout`]) takes the creator's part back, passes it on again if the
//! dispute is won, and says what becomes of the access.
//!
//! Diagram: `workflows/diagrams/dispute.mmd`, explored from this file.

use serde::{Deserialize, Serialize};

use crate::{
    effect::{Answer, Effect},
    id::DisputeId,
    ledger::{self, Moved, Sale, Transaction},
    record::{self, DisputeUpdate, Record},
    stripe::{self, DisputeStatus as AtStripe},
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};

/// What a dispute remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum State {
    /// The bank asks, or waits for evidence.
    Opened { known: Known },
    /// The bank has the evidence.
    UnderReview { known: Known },
    /// The creator keeps the money.
    Won { known: Known },
    /// The buyer has the money.
    Lost { known: Known },
    /// It came to nothing: the bank only asked.
    Closed { known: Known },
}

/// What is known of a dispute.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Known {
    /// Of which sale.
    pub sale: Sale,
    /// As it was last read. What it says to have been moved is posted.
    pub facts: stripe::Dispute,
}

/// What can happen to a dispute.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum Event {
    /// The purchase has read at Stripe how the dispute is.
    Reported { sale: Box<Sale>, facts: stripe::Dispute },
    /// Not used: a dispute is the bank's to end.
    Cancel,
    /// Not used: the purchase has the timers.
    TimerFired,
}

/// One dispute.
pub struct Dispute;

impl Workflow for Dispute {
    const NAME: &'static str = "dispute";
    const VERSION: u32 = 1;
    type State = State;
    type Event = Event;
    const TIMER_FIRED: Event = Event::TimerFired;
    const CANCEL: Event = Event::Cancel;

    fn start(event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        match event {
            Event::Reported { sale, facts } => Ok(follow(None, sale, facts)),
            _ => Err(Refused::because("a dispute begins with what Stripe reports")),
        }
    }

    fn step(state: &State, event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        use {Event as E, State as S};
        match (state.clone(), event) {
            (
                S::Opened { known }
                | S::UnderReview { known }
                | S::Won { known }
                | S::Lost { known }
                | S::Closed { known },
                E::Reported { facts, .. },
            ) if known.facts == *facts => Err(Refused::because("this was known")),
            (
                S::Won { known } | S::Lost { known } | S::Closed { known },
                E::Reported { sale, facts },
            ) if is_undecided(facts.status) => {
                // The decision stays. What was moved was moved all the same.
                let facts = stripe::Dispute { status: known.facts.status, ..facts.clone() };
                match known.facts == facts {
                    true => Err(Refused::because("the bank has decided")),
                    false => Ok(follow(Some(&known), sale, &facts)),
                }
            }
            (
                S::Opened { known }
                | S::UnderReview { known }
                | S::Won { known }
                | S::Lost { known }
                | S::Closed { known },
                E::Reported { sale, facts },
            ) => Ok(follow(Some(&known), sale, facts)),
            (
                S::Opened { .. }
                | S::UnderReview { .. }
                | S::Won { .. }
                | S::Lost { .. }
                | S::Closed { .. },
                _,
            ) => Err(Refused::unplaced(state, event)),
        }
    }

    fn on_answer(_effect: &Effect, _answer: &Answer) -> Option<Event> {
        None
    }

    fn standing(state: &State) -> Standing {
        match state {
            State::Opened { known: Known { facts, .. } } => match facts.evidence_due {
                Some(due) => Standing::waiting_until("evidence for the buyer's bank", due),
                None => Standing::waiting("the buyer's bank"),
            },
            State::UnderReview { .. } => Standing::waiting("the buyer's bank to decide"),
            State::Won { known } if !is_whole(&known.facts) => {
                Standing::waiting("Stripe to give the disputed amount back")
            }
            State::Won { .. } | State::Lost { .. } | State::Closed { .. } => Standing::Done,
        }
    }
}

/// Whether all that was taken came back.
fn is_whole(facts: &stripe::Dispute) -> bool {
    facts.reinstated >= facts.withdrawn
}

fn is_undecided(status: AtStripe) -> bool {
    matches!(status, AtStripe::Inquiry | AtStripe::NeedsResponse | AtStripe::UnderReview)
}

/// Minor units that are lost for good.
fn lost(facts: &stripe::Dispute) -> i64 {
    match facts.status {
        AtStripe::Lost => facts.withdrawn - facts.reinstated,
        _ => 0,
    }
}

/// What has moved since, posted.
fn postings(before: Option<&Known>, sale: &Sale, facts: &stripe::Dispute) -> Vec<Transaction> {
    let was = |moved: fn(&stripe::Dispute) -> Moved| {
        before.map_or(Moved::default(), |known| moved(&known.facts))
    };
    let withdrawn: fn(&stripe::Dispute) -> Moved =
        |facts| Moved { amount: facts.withdrawn, fee: facts.fee };
    let reinstated: fn(&stripe::Dispute) -> Moved =
        |facts| Moved { amount: facts.reinstated, fee: facts.fee_reinstated };
    let lost_before = before.map_or(0, |known| lost(&known.facts));
    let mut postings = Vec::new();
    if withdrawn(facts) != was(withdrawn) {
        postings.push(ledger::dispute_withdrawn(sale, facts, was(withdrawn)));
    }
    if reinstated(facts) != was(reinstated) {
        postings.push(ledger::dispute_reinstated(sale, facts, was(reinstated)));
    }
    if lost(facts) != lost_before {
        postings.push(ledger::dispute_lost(sale, facts, lost(facts), lost_before));
    }
    postings
}

/// Posts what has moved since, and goes where the bank is.
fn follow(before: Option<&Known>, sale: &Sale, facts: &stripe::Dispute) -> Step<State> {
    let known = Known { sale: sale.clone(), facts: facts.clone() };
    let postings = postings(before, sale, facts);
    let (status, next) = match facts.status {
        AtStripe::Inquiry | AtStripe::NeedsResponse => {
            (record::DisputeStatus::Open, State::Opened { known })
        }
        AtStripe::UnderReview => (record::DisputeStatus::UnderReview, State::UnderReview { known }),
        AtStripe::Won => (record::DisputeStatus::Won, State::Won { known }),
        AtStripe::Lost => (record::DisputeStatus::Lost, State::Lost { known }),
        AtStripe::Closed => (record::DisputeStatus::Closed, State::Closed { known }),
    };
    let row = DisputeUpdate {
        dispute: DisputeId::of(sale.checkout, &facts.id),
        sale: sale.clone(),
        status,
        facts: facts.clone(),
    };
    let step = Step::to(next).record(Record::Dispute(Box::new(row)));
    postings.into_iter().fold(step, |step, posting| step.record(Record::Ledger(posting)))
}
