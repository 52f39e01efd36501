//! The open purchases of an account that can no longer be paid: told to close, page by page.

use uuid::Uuid;

use super::{
    Known, Purchases, State,
    steps::{handle_of, stay},
};
use crate::{
    effect::Effect,
    id::{CheckoutId, HandleId},
    timestamp::Timestamp,
    workflow::{Refused, Step},
};

/// A purchase can be paid for twelve hours; older ones are closed, or soon will be.
const OLDEST_OPEN: i64 = Timestamp::DAY;

/// An account that can no longer be paid: its open purchases are told to close, once.
pub(super) fn close_purchases(known: Known, effects: &mut Vec<Effect>, at: Timestamp) -> Known {
    if known.purchases == Purchases::Possible {
        let after = before_all_since(at.plus(-OLDEST_OPEN));
        effects.push(close_checkouts(known.handle, &known.account, after));
    }
    Known { purchases: Purchases::Closed, ..known }
}

fn close_checkouts(handle: HandleId, account: &str, after: CheckoutId) -> Effect {
    Effect::CloseCheckouts { handle, account: account.to_owned(), after }
}

/// Sorts before every purchase that was begun since: their ids begin with the time in milliseconds.
fn before_all_since(at: Timestamp) -> CheckoutId {
    CheckoutId(Uuid::from_u128(u128::from(at.millis().max(0).unsigned_abs()) << 80))
}

/// On to the next page, unless the account can be paid again.
pub(super) fn checkouts_closed(
    state: &State,
    account: &str,
    after: Option<CheckoutId>,
) -> Result<Step<State>, Refused> {
    let sells_again = known_of(state)
        .is_some_and(|known| known.account == account && known.purchases == Purchases::Possible);
    match after {
        Some(_) if sells_again => Err(Refused::because("the account can be paid again")),
        Some(after) => Ok(stay(state).effect(close_checkouts(handle_of(state), account, after))),
        None => Ok(stay(state)),
    }
}

pub(super) fn known_of(state: &State) -> Option<&Known> {
    match state {
        State::CreatingLink { known }
        | State::AwaitingCreator { known }
        | State::PendingVerification { known }
        | State::Connected { known }
        | State::Restricted { known }
        | State::Rejected { known }
        | State::Disconnected { known }
        | State::Reconnecting { known, .. } => Some(known),
        State::CreatingAccount { .. } | State::Failed { .. } => None,
    }
}
