//! Which event an effect's answer is.

use super::Event;
use crate::effect::{Answer, Effect};

pub(super) fn event_of(effect: &Effect, answer: &Answer) -> Option<Event> {
    Some(match (effect, answer) {
        (_, Answer::AccountCreated { account }) => {
            Event::AccountCreated { account: account.clone() }
        }
        (
            Effect::CreateAccountLink { account, request, .. },
            Answer::AccountLinkCreated { url, expires_at },
        ) => Event::LinkCreated {
            account: account.clone(),
            request: request.id,
            url: url.clone(),
            expires_at: *expires_at,
        },
        (Effect::RetrieveAccount { begun_at, .. }, Answer::AccountRetrieved(account)) => {
            Event::AccountRetrieved { begun_at: *begun_at, account: account.clone() }
        }
        (Effect::CreateLoginLink { request, .. }, Answer::LoginLinkCreated { url }) => {
            Event::LoginLinkCreated { request: *request, url: url.clone() }
        }
        (Effect::CloseCheckouts { account, .. }, Answer::CheckoutsClosed { after }) => {
            Event::CheckoutsClosed { account: account.clone(), after: *after }
        }
        (Effect::CreateAccount { .. }, Answer::Failed(failure)) => {
            Event::AccountFailed(failure.clone())
        }
        (Effect::CreateAccountLink { account, request, .. }, Answer::Failed(failure)) => {
            let (account, failure) = (account.clone(), failure.clone());
            Event::LinkFailed { account, request: request.id, failure }
        }
        (Effect::RetrieveAccount { account, begun_at }, Answer::Failed(failure)) => {
            let (account, failure) = (account.clone(), failure.clone());
            Event::AccountUnreadable { account, begun_at: *begun_at, failure }
        }
        (Effect::CreateLoginLink { request, .. }, Answer::Failed(failure)) => {
            Event::LoginLinkFailed { request: *request, failure: failure.clone() }
        }
        _ => return None,
    })
}
