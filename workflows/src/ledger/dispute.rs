//! What banks take back: <https://docs.stripe.com/connect/disputes>. With destination charges Stripe debits
//! the platform; what the creator pays of it is posted where the transfer is reversed.

use super::{About, Account, Kind, Sale, Transaction, entries};
use crate::stripe;

/// What Stripe moves of a dispute, minor units. All that was moved so far, or what came on top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Moved {
    /// Of the disputed amount.
    pub amount: i64,
    /// Of what Stripe keeps for its trouble.
    pub fee: i64,
}

impl Moved {
    /// What has come on top of what was moved before.
    pub fn since(self, before: Self) -> Self {
        Self { amount: self.amount - before.amount, fee: self.fee - before.fee }
    }
}

/// Stripe took the disputed amount D, and X for its trouble: dispute_hold +D, dispute_fee +X, stripe −(D+X).
/// Usually all at once; `before` was posted before.
pub fn dispute_withdrawn(sale: &Sale, dispute: &stripe::Dispute, before: Moved) -> Transaction {
    let total = Moved { amount: dispute.withdrawn, fee: dispute.fee };
    let Moved { amount, fee } = total.since(before);
    Transaction {
        key: key("dispute_withdrawn", dispute, total, before),
        kind: Kind::DisputeWithdrawn,
        entries: entries([
            (Account::DisputeHold(sale.handle), amount),
            (Account::DisputeFee, fee),
            (Account::Stripe, -(amount + fee)),
        ]),
        ..about(sale, dispute)
    }
}

/// The disputed amount, or a part of it, came back, and perhaps the fee: stripe +D, dispute_hold −D; stripe +X,
/// dispute_fee −X. `before` was posted before.
pub fn dispute_reinstated(sale: &Sale, dispute: &stripe::Dispute, before: Moved) -> Transaction {
    let total = Moved { amount: dispute.reinstated, fee: dispute.fee_reinstated };
    let Moved { amount, fee } = total.since(before);
    Transaction {
        key: key("dispute_reinstated", dispute, total, before),
        kind: Kind::DisputeReinstated,
        entries: entries([
            (Account::Stripe, amount + fee),
            (Account::DisputeHold(sale.handle), -amount),
            (Account::DisputeFee, -fee),
        ]),
        ..about(sale, dispute)
    }
}

/// What did not come back is lost: due +D, dispute_hold −D. What remains in due is a receivable. Where more
/// comes back after all, or more was taken, the difference is posted: `lost` is all of it, and `before` was
/// posted before.
pub fn dispute_lost(sale: &Sale, dispute: &stripe::Dispute, lost: i64, before: i64) -> Transaction {
    let (total, earlier) =
        (Moved { amount: lost, fee: dispute.reinstated }, Moved { amount: before, fee: 0 });
    Transaction {
        key: key("dispute_lost", dispute, total, earlier),
        kind: Kind::DisputeLost,
        entries: entries([
            (Account::Due(sale.handle), lost - before),
            (Account::DisputeHold(sale.handle), before - lost),
        ]),
        ..about(sale, dispute)
    }
}

/// The first posting is named by the dispute alone, a later one by what it leads to, too.
fn key(name: &str, dispute: &stripe::Dispute, total: Moved, before: Moved) -> String {
    match before == Moved::default() {
        true => format!("{name}:{}", dispute.id),
        false => format!("{name}:{}:{}:{}", dispute.id, total.amount, total.fee),
    }
}

fn about(sale: &Sale, dispute: &stripe::Dispute) -> Transaction {
    Transaction {
        key: String::new(),
        kind: Kind::DisputeLost,
        currency: sale.currency,
        about: About::Sale(sale.clone()),
        stripe_object: dispute.id.clone(),
        available: None,
        entries: Vec::new(),
    }
}
