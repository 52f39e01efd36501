//! Group buy: a threshold of interest that opens once. One run for each group buy.
//!
//! Interest is counted where it is written, under the lock of the group buy's row: the change that reaches the
//! target activates the group buy and sends the one [`ThresholdReached`](Event::ThresholdReached). Whatever else
//! ends it (its deadline, its creator, an operator) asks under the same lock. So the row has one outcome, and
//! this machine hears of it. It promises:
//! - one outcome, whatever comes at once: activated, lapsed or cancelled, and it stays;
//! - an activation stands, whoever withdraws later;
//! - everybody who was interested when it ended, and is still when their turn comes, is mailed once, in pages,
//!   which go on where they were after a crash;
//! - the list of the interests that activated it is hashed, so that anybody can verify it.
//!
//! Diagram: `workflows/diagrams/group_buy.mmd`, explored from this file.

use serde::{Deserialize, Serialize};

use crate::{
    effect::{Answer, Effect, Failure, Mail},
    id::{GroupBuyId, VisitorId},
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};

/// How long after an end that was discarded it is asked for again, in milliseconds.
const ASK_AGAIN: i64 = 15 * Timestamp::MINUTE;

/// What a group buy remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum State {
    /// Nobody sees it yet.
    Draft { group_buy: GroupBuyId },
    /// Visitors say that they are interested, until the deadline if there is one.
    Collecting { group_buy: GroupBuyId, deadline: Option<Timestamp> },
    /// It is being ended, unless the target was reached before.
    Ending { group_buy: GroupBuyId, refusal: Refusal },
    /// The target was reached.
    Activated { group_buy: GroupBuyId, telling: Telling, seal: Seal },
    /// The deadline passed.
    Lapsed { group_buy: GroupBuyId, telling: Telling },
    /// It was called off.
    Cancelled { group_buy: GroupBuyId, telling: Telling },
}

/// How far those who are interested were told of the outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Telling {
    /// Those up to a position in the order of the interests were, and the next page is being listed.
    UnderWay {
        /// The last one who was.
        after: i64,
        /// The change of the interests after which it ended.
        through: i64,
        /// How many were.
        told: u64,
    },
    /// All were.
    Done {
        /// How many.
        told: u64,
    },
    /// An operator has discarded a page, and with it the rest.
    GivenUp {
        /// How many were.
        told: u64,
    },
}

/// Whether the list of the interests that activated it is hashed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seal {
    /// It is being hashed.
    Sealing,
    /// SHA-256, hexadecimal.
    Sealed(String),
    /// An operator has discarded it.
    GivenUp,
}

/// How a group buy ends without having been activated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Refusal {
    /// The deadline passed.
    Lapsed,
    /// It was called off.
    Cancelled,
}

/// How a group buy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The target was reached.
    Activated,
    /// It was not.
    Refused(Refusal),
}

/// What those who are interested are told.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum News {
    /// The target was reached: they may buy.
    Activated,
    /// The deadline passed.
    Lapsed,
    /// It was called off.
    Cancelled,
}

/// What can happen to a group buy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum Event {
    /// The creator has made it.
    Create { group_buy: GroupBuyId },
    /// The creator has published it.
    Publish { deadline: Option<Timestamp> },
    /// The change of an interest at this position has reached the target.
    ThresholdReached { through: i64 },
    /// It has ended. `through`: the position of the last change of an interest.
    Ended { outcome: Outcome, through: i64 },
    /// That it ends was discarded.
    EndFailed(Failure),
    /// A page of those who are interested.
    InterestedListed { visitors: Vec<VisitorId>, after: Option<i64> },
    /// The page was discarded.
    ListFailed(Failure),
    /// The list of the interests that activated it is hashed.
    Sealed { hash: String },
    /// That was discarded.
    SealFailed(Failure),
    /// A person calls it off.
    Cancel,
    /// The timer: the deadline has passed.
    TimerFired,
}

/// One group buy.
pub struct GroupBuy;

impl Workflow for GroupBuy {
    const NAME: &'static str = "group_buy";
    const VERSION: u32 = 1;
    type State = State;
    type Event = Event;
    const TIMER_FIRED: Event = Event::TimerFired;
    const CANCEL: Event = Event::Cancel;

    fn start(event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        match event {
            Event::Create { group_buy } => Ok(Step::to(State::Draft { group_buy: *group_buy })),
            _ => Err(Refused::because("a group buy begins with a draft")),
        }
    }

    fn step(state: &State, event: &Event, at: Timestamp) -> Result<Step<State>, Refused> {
        use {Event as E, State as S};
        match (state.clone(), event) {
            (S::Draft { group_buy }, E::Publish { deadline }) => Ok(collect(group_buy, *deadline)),
            (S::Collecting { group_buy, .. }, E::TimerFired) => Ok(end(group_buy, Refusal::Lapsed)),
            (S::Draft { group_buy } | S::Collecting { group_buy, .. }, E::Cancel) => {
                Ok(end(group_buy, Refusal::Cancelled))
            }
            // The row has its outcome already: who asks next hears it.
            (S::Ending { group_buy, .. }, E::Cancel) => Ok(end(group_buy, Refusal::Cancelled)),
            (S::Ending { .. }, E::EndFailed(_)) => {
                Ok(Step::to(state.clone()).wake_at(at.plus(ASK_AGAIN)))
            }
            (S::Ending { group_buy, refusal }, E::TimerFired) => Ok(end(group_buy, refusal)),

            // Also before it is heard that it was published: a message that failed once is overtaken by later ones.
            (
                S::Draft { group_buy }
                | S::Collecting { group_buy, .. }
                | S::Ending { group_buy, .. },
                E::ThresholdReached { through } | E::Ended { outcome: Outcome::Activated, through },
            ) => Ok(activated(group_buy, *through)),
            // A draft collects nothing: it is called off, and there is nobody to tell.
            (
                S::Draft { group_buy },
                E::Ended { outcome: Outcome::Refused(refusal @ Refusal::Cancelled), through },
            )
            | (
                S::Collecting { group_buy, .. } | S::Ending { group_buy, .. },
                E::Ended { outcome: Outcome::Refused(refusal), through },
            ) => Ok(refused(group_buy, *refusal, *through)),

            (
                S::Activated { .. } | S::Lapsed { .. } | S::Cancelled { .. },
                E::InterestedListed { visitors, after },
            ) => tell(state, visitors, *after),
            (S::Activated { .. } | S::Lapsed { .. } | S::Cancelled { .. }, E::ListFailed(_)) => {
                give_up_telling(state)
            }
            (S::Activated { group_buy, telling, seal: Seal::Sealing }, E::Sealed { hash }) => {
                let seal = Seal::Sealed(hash.clone());
                Ok(Step::to(S::Activated { group_buy, telling, seal }))
            }
            (S::Activated { group_buy, telling, seal: Seal::Sealing }, E::SealFailed(_)) => {
                Ok(Step::to(S::Activated { group_buy, telling, seal: Seal::GivenUp }))
            }
            (
                S::Activated { .. },
                E::ThresholdReached { .. } | E::Ended { outcome: Outcome::Activated, .. },
            ) => Err(Refused::because("that the target was reached is known")),

            (
                S::Draft { .. }
                | S::Collecting { .. }
                | S::Ending { .. }
                | S::Activated { .. }
                | S::Lapsed { .. }
                | S::Cancelled { .. },
                _,
            ) => Err(Refused::unplaced(state, event)),
        }
    }

    fn on_answer(effect: &Effect, answer: &Answer) -> Option<Event> {
        Some(match (effect, answer) {
            (_, Answer::GroupBuyEnded { outcome, through }) => {
                Event::Ended { outcome: *outcome, through: *through }
            }
            (_, Answer::InterestedListed { visitors, after }) => {
                Event::InterestedListed { visitors: visitors.clone(), after: *after }
            }
            (_, Answer::ActivationSealed { hash }) => Event::Sealed { hash: hash.clone() },
            (Effect::EndGroupBuy { .. }, Answer::Failed(failure)) => {
                Event::EndFailed(failure.clone())
            }
            (Effect::ListInterested { .. }, Answer::Failed(failure)) => {
                Event::ListFailed(failure.clone())
            }
            (Effect::SealActivation { .. }, Answer::Failed(failure)) => {
                Event::SealFailed(failure.clone())
            }
            // Nobody waits for a mail.
            _ => return None,
        })
    }

    fn standing(state: &State) -> Standing {
        const TELLING: &str = "everybody who is interested to be told";
        match state {
            State::Draft { .. } => Standing::waiting("the creator to publish it"),
            State::Collecting { deadline: Some(until), .. } => {
                Standing::waiting_until("enough interest", *until)
            }
            State::Collecting { deadline: None, .. } => Standing::waiting("enough interest"),
            State::Ending { .. } => Standing::waiting("the count to be closed"),
            State::Activated { telling: Telling::UnderWay { .. }, .. }
            | State::Lapsed { telling: Telling::UnderWay { .. }, .. }
            | State::Cancelled { telling: Telling::UnderWay { .. }, .. } => {
                Standing::waiting(TELLING)
            }
            State::Activated { seal: Seal::Sealing, .. } => {
                Standing::waiting("the list of its interests to be hashed")
            }
            State::Activated { .. } | State::Lapsed { .. } => Standing::Done,
            State::Cancelled { .. } => Standing::Cancelled,
        }
    }
}

impl State {
    fn parts(&self) -> (GroupBuyId, Option<(News, &Telling)>) {
        match self {
            Self::Draft { group_buy }
            | Self::Collecting { group_buy, .. }
            | Self::Ending { group_buy, .. } => (*group_buy, None),
            Self::Activated { group_buy, telling, .. } => {
                (*group_buy, Some((News::Activated, telling)))
            }
            Self::Lapsed { group_buy, telling } => (*group_buy, Some((News::Lapsed, telling))),
            Self::Cancelled { group_buy, telling } => {
                (*group_buy, Some((News::Cancelled, telling)))
            }
        }
    }

    /// The same state, further on in telling.
    fn with(self, telling: Telling) -> Self {
        match self {
            Self::Draft { .. } | Self::Collecting { .. } | Self::Ending { .. } => self,
            Self::Activated { group_buy, seal, .. } => Self::Activated { group_buy, telling, seal },
            Self::Lapsed { group_buy, .. } => Self::Lapsed { group_buy, telling },
            Self::Cancelled { group_buy, .. } => Self::Cancelled { group_buy, telling },
        }
    }
}

fn collect(group_buy: GroupBuyId, deadline: Option<Timestamp>) -> Step<State> {
    Step { wake_at: deadline, ..Step::to(State::Collecting { group_buy, deadline }) }
}

fn end(group_buy: GroupBuyId, refusal: Refusal) -> Step<State> {
    Step::to(State::Ending { group_buy, refusal })
        .effect(Effect::EndGroupBuy { group_buy, refusal })
}

fn activated(group_buy: GroupBuyId, through: i64) -> Step<State> {
    let (telling, list) = begin_telling(group_buy, through);
    let step = Step::to(State::Activated { group_buy, telling, seal: Seal::Sealing });
    let step = step.effect(Effect::SealActivation { group_buy });
    list.into_iter().fold(step, Step::effect)
}

fn refused(group_buy: GroupBuyId, refusal: Refusal, through: i64) -> Step<State> {
    let (telling, list) = begin_telling(group_buy, through);
    let step = Step::to(match refusal {
        Refusal::Lapsed => State::Lapsed { group_buy, telling },
        Refusal::Cancelled => State::Cancelled { group_buy, telling },
    });
    list.into_iter().fold(step, Step::effect)
}

fn begin_telling(group_buy: GroupBuyId, through: i64) -> (Telling, Option<Effect>) {
    match through {
        // Nobody was ever interested.
        ..=0 => (Telling::Done { told: 0 }, None),
        _ => (
            Telling::UnderWay { after: 0, through, told: 0 },
            Some(Effect::ListInterested { group_buy, after: 0, through }),
        ),
    }
}

/// A mail to each of the page, and the next page.
fn tell(state: &State, visitors: &[VisitorId], after: Option<i64>) -> Result<Step<State>, Refused> {
    let (group_buy, Some((news, Telling::UnderWay { after: before, through, told }))) =
        state.parts()
    else {
        return Err(Refused::because("everybody was told"));
    };
    if after.is_some_and(|after| after <= *before) {
        return Err(Refused::because("this page was told before"));
    }
    let (through, told) = (*through, told.saturating_add(visitors.len() as u64));
    let telling = match after {
        Some(after) => Telling::UnderWay { after, through, told },
        None => Telling::Done { told },
    };
    let mails = visitors
        .iter()
        .map(|visitor| Effect::SendMail(Mail::GroupBuy { group_buy, visitor: *visitor, news }));
    let next = after.map(|after| Effect::ListInterested { group_buy, after, through });
    let effects = mails.chain(next).collect();
    Ok(Step { effects, ..Step::to(state.clone().with(telling)) })
}

fn give_up_telling(state: &State) -> Result<Step<State>, Refused> {
    let (_, Some((_, Telling::UnderWay { told, .. }))) = state.parts() else {
        return Err(Refused::because("everybody was told"));
    };
    Ok(Step::to(state.clone().with(Telling::GivenUp { told: *told })))
}
