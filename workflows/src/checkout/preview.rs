//! What a refund would come to, before anybody asks for it: computed, where what is posted is what Stripe
//! reports.

use super::{
    State,
    paid::{paid_of, placed},
    returns::{Access, KnownRefund, Posting},
};
use crate::{
    effect::TransferReturn,
    ledger::Share,
    money::Money,
    record::{CheckoutStatus, GrantKind},
    refund::{AccessAfter, Rejection},
    stripe::RefundStatus,
};

/// What a refund would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// What the buyer gets.
    pub amount: Money,
    /// Minor units that could be given back before.
    pub refundable: i64,
    /// Minor units of the platform's fee that go back to the creator.
    pub fee_returned: i64,
    /// Minor units of the transfer that come back from the creator.
    pub transfer_reversed: i64,
    /// What the API calls the purchase's state afterwards.
    pub status: CheckoutStatus,
    /// On what grounds there is access afterwards, or why not; none, if there never was any.
    pub access: Option<GrantKind>,
}

/// What a refund of so many minor units would come to; of all that is left, without any. Why not, else.
pub fn preview(
    state: &State,
    amount: Option<i64>,
    access: AccessAfter,
) -> Result<Preview, Rejection> {
    let mut paid = paid_of(state).ok_or(Rejection::NotPaid)?;
    let (whole, fee) = (paid.payment.amount, paid.order.sale.fee);
    let refundable = paid.returns.refundable(whole);
    let amount = paid.returns.judge(whole, amount, None)?;
    let all = Share { reversed: whole, fee };
    let parts = paid.returns.creator.parts_of(all, amount, paid.returns.to_come_back());
    let back = parts.iter().fold(Share::default(), |sum, part| sum.plus(part.share));
    paid.returns.refunds.push(KnownRefund {
        id: String::new(),
        asked: None,
        amount,
        status: RefundStatus::Succeeded,
        transfer: TransferReturn::Returned,
        posting: Posting::NotYet,
        access,
    });
    let granted = paid.returns.access != Access::Never;
    let (currency, grounds) = (paid.payment.currency, paid.returns.grounds(whole));
    let (_, status) = placed(state, paid);
    Ok(Preview {
        amount: Money::new(amount, currency),
        refundable,
        fee_returned: back.fee,
        transfer_reversed: back.reversed,
        status,
        access: granted.then_some(grounds),
    })
}
