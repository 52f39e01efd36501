//! What goes back: refunds, and what becomes of the creator's part and the platform's fee.
//!
//! A refund of a destination charge is the platform's; `reverse_transfer` takes the creator's part back, and
//! `refund_application_fee` gives a part of the fee back to the creator
//! (<https://docs.stripe.com/connect/destination-charges#issue-refunds>). What is posted is what Stripe
//! reports to have come back, never what should have.

use super::{About, Account, Available, Kind, Sale, Transaction, entries};
use crate::{stripe, timestamp::Timestamp};

/// What came back of a transfer, minor units.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Share {
    /// That much of the transfer was reversed.
    pub reversed: i64,
    /// That much of the fee went back to the creator.
    pub fee: i64,
}

impl Share {
    /// Both together with another.
    pub fn plus(self, other: Self) -> Self {
        Self { reversed: self.reversed + other.reversed, fee: self.fee + other.fee }
    }

    /// Both without another.
    pub fn minus(self, other: Self) -> Self {
        Self { reversed: self.reversed - other.reversed, fee: self.fee - other.fee }
    }

    /// What the creator lost by it.
    pub fn of_creator(self) -> i64 {
        self.reversed - self.fee
    }
}

/// A buyer got `r` back, and `share` of it came from creator and fee: stripe −r, creator +x, platform_fee +y,
/// due +(r−x−y). What did not come back from them is owed by the creator.
pub fn refunded(sale: &Sale, refund: &stripe::Refund, share: Share, at: Timestamp) -> Transaction {
    Transaction {
        key: format!("refund:{}", refund.id),
        kind: Kind::Refund,
        currency: sale.currency,
        about: About::Sale(sale.clone()),
        stripe_object: refund.id.clone(),
        available: available(at, -share.of_creator()),
        entries: entries([
            (Account::Stripe, -refund.amount),
            (Account::Creator(sale.account.clone()), share.of_creator()),
            (Account::PlatformFee, share.fee),
            (Account::Due(sale.handle), refund.amount - share.reversed),
        ]),
    }
}

/// A refund that was posted failed: stripe +r, due −r. What was taken back for it is the creator's again, and
/// is passed on by itself.
pub fn refund_failed(sale: &Sale, refund: &stripe::Refund) -> Transaction {
    Transaction {
        key: format!("refund_failed:{}", refund.id),
        kind: Kind::RefundFailed,
        currency: sale.currency,
        about: About::Sale(sale.clone()),
        stripe_object: refund.id.clone(),
        available: None,
        entries: entries([
            (Account::Stripe, refund.amount),
            (Account::Due(sale.handle), -refund.amount),
        ]),
    }
}

/// A part of a transfer came back by itself, for a dispute, for a refund that did not bring it, or by hand:
/// creator +(v−f), platform_fee +f, due −v. `reversal` is `trr_…`.
pub fn reversed(
    sale: &Sale,
    transfer: &str,
    reversal: &str,
    share: Share,
    at: Timestamp,
) -> Transaction {
    Transaction { key: format!("reversal:{reversal}"), ..came_back(sale, transfer, share, at) }
}

/// A part of the fee went back to the creator by itself, which led to `total`: creator −f, platform_fee +f.
pub fn fee_returned(sale: &Sale, charge: &str, total: i64, fee: i64, at: Timestamp) -> Transaction {
    Transaction {
        key: format!("fee_returned:{charge}:{total}"),
        ..came_back(sale, charge, Share { reversed: 0, fee }, at)
    }
}

fn came_back(sale: &Sale, object: &str, share: Share, at: Timestamp) -> Transaction {
    Transaction {
        key: String::new(),
        kind: Kind::TransferReversed,
        currency: sale.currency,
        about: About::Sale(sale.clone()),
        stripe_object: object.to_owned(),
        available: available(at, -share.of_creator()),
        entries: entries([
            (Account::Creator(sale.account.clone()), share.of_creator()),
            (Account::PlatformFee, share.fee),
            (Account::Due(sale.handle), -share.reversed),
        ]),
    }
}

/// The creator got `amount` again, by a transfer of its own: due +a, creator −a.
pub fn transferred_again(sale: &Sale, transfer: &str, amount: i64, at: Timestamp) -> Transaction {
    Transaction {
        key: format!("transfer:{transfer}"),
        kind: Kind::TransferredAgain,
        currency: sale.currency,
        about: About::Sale(sale.clone()),
        stripe_object: transfer.to_owned(),
        available: available(at, amount),
        entries: entries([
            (Account::Due(sale.handle), amount),
            (Account::Creator(sale.account.clone()), -amount),
        ]),
    }
}

/// The fee that went back to the creator for a refund or a dispute is the platform's again, since that came to
/// nothing, and was passed on again, by the transfer `tr_…`: due +f, platform_fee −f.
pub fn fee_taken_again(sale: &Sale, transfer: &str, fee: i64) -> Transaction {
    let key = format!("fee_taken_again:{transfer}");
    Transaction { key, ..fee_moved(sale, transfer, fee) }
}

/// The fee that the platform took again of what it passed on later goes back to the creator, since that was
/// taken back, too, by the reversal `trr_…`: due −f, platform_fee +f.
pub fn fee_given_up(sale: &Sale, reversal: &str, fee: i64) -> Transaction {
    let key = format!("fee_given_up:{reversal}");
    Transaction { key, ..fee_moved(sale, reversal, -fee) }
}

/// No money moves at Stripe: the creator's part of what is passed on is that much less.
fn fee_moved(sale: &Sale, object: &str, fee: i64) -> Transaction {
    Transaction {
        key: String::new(),
        kind: Kind::FeeTakenAgain,
        currency: sale.currency,
        about: About::Sale(sale.clone()),
        stripe_object: object.to_owned(),
        available: None,
        entries: entries([(Account::Due(sale.handle), fee), (Account::PlatformFee, -fee)]),
    }
}

fn available(at: Timestamp, amount: i64) -> Option<Available> {
    (amount != 0).then_some(Available { at, amount })
}
