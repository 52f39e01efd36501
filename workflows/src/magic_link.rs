//! Magic link: how a visitor signs in. One run for each link.
//!
//! It promises: a link signs in once, within 15 minutes, and only by a deliberate act (a GET consumes
//! nothing).
//!
//! Token and code are stored nowhere: whether one is genuine, and how often the code may still be tried, is
//! decided by whoever holds the keys, before this machine hears of it. Wrong codes do not harm the link:
//! else whoever knows an address could keep its owner out.
//!
//! Diagram: `workflows/diagrams/magic_link.mmd`, explored from this file.

use serde::{Deserialize, Serialize};

use crate::{
    effect::{Answer, Effect, Mail},
    id::{MagicLinkId, SessionId},
    record::{Record, VisitorSession},
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};

/// How long a link is good for, in milliseconds.
pub const LIFETIME: i64 = 15 * Timestamp::MINUTE;
/// How often the code of a link may be tried.
pub const CODE_TRIES: u8 = 5;

/// What a link remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum State {
    /// The mail is on its way.
    Requested { link: MagicLinkId, expires_at: Timestamp },
    /// The mail server has it.
    Sent { link: MagicLinkId, expires_at: Timestamp },
    /// It signed this session in.
    Consumed { session: SessionId },
    /// Too late, or called off.
    Expired,
}

/// What can happen to a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum Event {
    /// Somebody wants to sign in.
    Request { link: MagicLinkId },
    /// The mail server took the mail, or refused it: the visitor may have it in either case.
    MailDone,
    /// A genuine token or code was presented.
    Consume(Box<VisitorSession>),
    /// A person calls the link off.
    Cancel,
    /// The timer: 15 minutes are over.
    TimerFired,
}

/// One link.
pub struct MagicLink;

impl Workflow for MagicLink {
    const NAME: &'static str = "magic_link";
    const VERSION: u32 = 2;
    type State = State;
    type Event = Event;
    const TIMER_FIRED: Event = Event::TimerFired;
    const CANCEL: Event = Event::Cancel;

    fn start(event: &Event, at: Timestamp) -> Result<Step<State>, Refused> {
        match event {
            Event::Request { link } => Ok(requested(*link, at.plus(LIFETIME))),
            _ => Err(Refused::because("a link begins with a request")),
        }
    }

    fn step(state: &State, event: &Event, at: Timestamp) -> Result<Step<State>, Refused> {
        use {Event as E, State as S};
        match (state.clone(), event) {
            (S::Requested { link, expires_at }, E::MailDone) => {
                Ok(waiting(S::Sent { link, expires_at }, expires_at))
            }
            // The timer may be late: what counts is the time.
            (S::Requested { expires_at, .. } | S::Sent { expires_at, .. }, E::Consume(_))
                if at >= expires_at =>
            {
                Ok(Step::to(S::Expired))
            }
            (S::Requested { .. } | S::Sent { .. }, E::Consume(session)) => Ok(consumed(session)),
            (S::Requested { .. } | S::Sent { .. }, E::TimerFired | E::Cancel) => {
                Ok(Step::to(S::Expired))
            }

            (S::Requested { .. } | S::Sent { .. } | S::Consumed { .. } | S::Expired, _) => {
                Err(Refused::unplaced(state, event))
            }
        }
    }

    fn on_answer(effect: &Effect, answer: &Answer) -> Option<Event> {
        match (effect, answer) {
            (Effect::SendMail(_), Answer::MailSent | Answer::Failed(_)) => Some(Event::MailDone),
            _ => None,
        }
    }

    fn standing(state: &State) -> Standing {
        match state {
            State::Requested { expires_at, .. } => {
                Standing::waiting_until("the mail to be sent", *expires_at)
            }
            State::Sent { expires_at, .. } => {
                Standing::waiting_until("the visitor to open the link", *expires_at)
            }
            State::Consumed { .. } | State::Expired => Standing::Done,
        }
    }
}

fn requested(link: MagicLinkId, expires_at: Timestamp) -> Step<State> {
    waiting(State::Requested { link, expires_at }, expires_at)
        .effect(Effect::SendMail(Mail::MagicLink(link)))
}

fn waiting(state: State, expires_at: Timestamp) -> Step<State> {
    Step::to(state).wake_at(expires_at)
}

fn consumed(session: &VisitorSession) -> Step<State> {
    Step::to(State::Consumed { session: session.session })
        .record(Record::VisitorSession(session.clone()))
}
