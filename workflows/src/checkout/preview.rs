//! What a refund would come to, before anybody asks for it: computed, where what is posted is what Stripe
//! reports.

use super::{
    State,
    paid::{paid_of, placed},
    returns::{Access, KnownRefund, Posting},
};
use crate::{
    ledger::Share,
    money::{Money, part_of},
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
    // The fee comes back in proportion to all that came back, so that the parts add up to the whole.
    let before = whole - refundable;
    let part = |back: i64| part_of(fee, back, whole);
    paid.returns.refunds.push(KnownRefund {
        id: String::new(),
        asked: None,
        amount,
        status: RefundStatus::Succeeded,
        share: Share::default(),
        posting: Posting::NotYet,
        access,
    });
    let granted = paid.returns.access != Access::Never;
    let (currency, grounds) = (paid.payment.currency, paid.returns.grounds(whole));
    let (_, status) = placed(state, paid);
    Ok(Preview {
        amount: Money::new(amount, currency),
        refundable,
        fee_returned: part(before + amount) - part(before),
        transfer_reversed: amount,
        status,
        access: granted.then_some(grounds),
    })
}
