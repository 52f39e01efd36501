//! What leaves Stripe for a bank (<https://docs.stripe.com/payouts>), and debts that are given up.

use super::{About, Account, Kind, Transaction, entries};
use crate::{
    id::HandleId,
    money::{Currency, Money},
    stripe::Payout,
};

/// A creator was paid p out: creator +p, stripe −p.
pub fn payout(handle: HandleId, account: &str, payout: &Payout) -> Transaction {
    let creator = Account::Creator(account.to_owned());
    posting(About::Balance(handle), Kind::Payout, payout, (creator, payout.amount))
}

/// A creator's payout came back: creator −p, stripe +p.
pub fn payout_failed(handle: HandleId, account: &str, payout: &Payout) -> Transaction {
    let creator = Account::Creator(account.to_owned());
    posting(About::Balance(handle), Kind::PayoutFailed, payout, (creator, -payout.amount))
}

/// The platform was paid q out: bank +q, stripe −q.
pub fn platform_payout(payout: &Payout) -> Transaction {
    posting(About::Platform, Kind::Payout, payout, (Account::Bank, payout.amount))
}

/// The platform's payout came back: bank −q, stripe +q.
pub fn platform_payout_failed(payout: &Payout) -> Transaction {
    posting(About::Platform, Kind::PayoutFailed, payout, (Account::Bank, -payout.amount))
}

/// The platform gave up `debt` of what a creator owed: write_off +d, due −d. `key` says whose decision it was.
pub fn written_off(handle: HandleId, debt: Money, key: &str) -> Transaction {
    Transaction {
        key: format!("write_off:{key}"),
        kind: Kind::WrittenOff,
        currency: debt.currency,
        about: About::Balance(handle),
        stripe_object: String::new(),
        available: None,
        entries: entries([(Account::WriteOff, debt.minor), (Account::Due(handle), -debt.minor)]),
    }
}

fn posting(
    about: About,
    kind: Kind,
    payout: &Payout,
    (account, amount): (Account, i64),
) -> Transaction {
    let name: &'static str = kind.into();
    let currency: Currency = payout.currency;
    Transaction {
        key: format!("{name}:{}", payout.id),
        kind,
        currency,
        about,
        stripe_object: payout.id.clone(),
        available: None,
        entries: entries([(account, amount), (Account::Stripe, -amount)]),
    }
}
