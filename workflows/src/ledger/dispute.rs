//! What banks take back: <https://docs.stripe.com/connect/disputes>. With destination charges Stripe debits
//! the platform; what the creator pays of it is posted where the transfer is reversed.

use super::{About, Account, Kind, Sale, Transaction, entries};
use crate::stripe;

/// Stripe took the disputed amount D, and X for its trouble: dispute_hold +D, dispute_fee +X, stripe −(D+X).
pub fn dispute_withdrawn(sale: &Sale, dispute: &stripe::Dispute) -> Transaction {
    let (taken, fee) = (dispute.withdrawn, dispute.fee);
    posting(
        sale,
        dispute,
        "dispute_withdrawn",
        Kind::DisputeWithdrawn,
        [
            (Account::DisputeHold(sale.handle), taken),
            (Account::DisputeFee, fee),
            (Account::Stripe, -(taken + fee)),
        ],
    )
}

/// The disputed amount, or a part of it, came back, and perhaps the fee: stripe +D, dispute_hold −D; stripe +X,
/// dispute_fee −X.
pub fn dispute_reinstated(sale: &Sale, dispute: &stripe::Dispute) -> Transaction {
    let (back, fee) = (dispute.reinstated, dispute.fee_reinstated);
    posting(
        sale,
        dispute,
        "dispute_reinstated",
        Kind::DisputeReinstated,
        [
            (Account::Stripe, back + fee),
            (Account::DisputeHold(sale.handle), -back),
            (Account::DisputeFee, -fee),
        ],
    )
}

/// What did not come back is lost: due +D, dispute_hold −D. What remains in due is a receivable.
pub fn dispute_lost(sale: &Sale, dispute: &stripe::Dispute) -> Transaction {
    let lost = dispute.withdrawn - dispute.reinstated;
    posting(
        sale,
        dispute,
        "dispute_lost",
        Kind::DisputeLost,
        [
            (Account::Due(sale.handle), lost),
            (Account::DisputeHold(sale.handle), -lost),
            (Account::Stripe, 0),
        ],
    )
}

fn posting(
    sale: &Sale,
    dispute: &stripe::Dispute,
    name: &str,
    kind: Kind,
    lines: [(Account, i64); 3],
) -> Transaction {
    Transaction {
        key: format!("{name}:{}", dispute.id),
        kind,
        currency: sale.currency,
        about: About::Sale(sale.clone()),
        stripe_object: dispute.id.clone(),
        available: None,
        entries: entries(lines),
    }
}
