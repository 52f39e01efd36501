//! After the payment: what each event leads to while money may come back. What a reading of Stripe leads to is
//! in `fold`.

use super::{
    Event, Order, State,
    creator::Call,
    fold::fold,
    other_payment,
    returns::{Access, Returns, Withheld},
    steps::{is_as_agreed, processor_fee},
};
use crate::{
    effect::{Effect, Failure, FeeReturn, TransferReturn},
    id::RefundId,
    message::Message,
    money::Money,
    reading::Reading,
    record::{CaseKind, CheckoutStatus, CheckoutUpdate, GrantKind, OperatorCase, Record},
    refund::{self, AccessAfter, Wish},
    stripe::{Outcome, Payment, Refund, Session},
    timestamp::Timestamp,
    workflow::{Refused, Step},
};

/// How long after a reading the next one is, in milliseconds, while refunds or disputes are under way: should
/// every webhook be lost, it costs half a day.
const LOOK_AGAIN: i64 = 12 * Timestamp::HOUR;

/// A purchase that was paid.
#[derive(Clone, Debug)]
pub(super) struct Paid {
    pub order: Order,
    pub payment: Payment,
    pub returns: Returns,
}

/// Where an event leads once there is a payment.
pub(super) fn step(
    state: &State,
    paid: Paid,
    event: &Event,
    at: Timestamp,
) -> Result<Step<State>, Refused> {
    match paid.returns.others.is_empty() {
        true => of_payment(state, paid, event, at),
        false => other_payment::step(state, paid, event, at),
    }
}

/// Where it leads for one payment of a purchase, usually the only one.
pub(super) fn of_payment(
    state: &State,
    paid: Paid,
    event: &Event,
    at: Timestamp,
) -> Result<Step<State>, Refused> {
    use Event as E;
    match event {
        // The session was read because something contradicted what was known: a refund before the payment,
        // perhaps. So the payment is read, too.
        E::SessionRetrieved(Session { outcome: Outcome::Paid(again), .. })
            if again.intent == paid.payment.intent =>
        {
            look(state, paid, at)
        }
        E::SessionReported(Session { outcome: Outcome::Paid(again), .. })
        | E::SessionRetrieved(Session { outcome: Outcome::Paid(again), .. }) => {
            other_payment::paid_again(state, paid, again)
        }
        // Also where access came back, and another purchase has its place.
        E::GrantLost { .. }
            if matches!(state, State::Settled { .. } | State::PartlyRefunded { .. }) =>
        {
            Ok(give_back(paid, Withheld::Duplicate, at))
        }
        E::InterestLost { .. }
            if matches!(state, State::Settled { .. } | State::PartlyRefunded { .. }) =>
        {
            Ok(give_back(paid, Withheld::InterestWithdrawn, at))
        }

        E::ReserveRefund(wish) => Ok(reserve(state, paid, wish, at)),
        E::ReleaseRefund { refund } => {
            let mut paid = paid;
            paid.returns.give_up(*refund);
            Ok(look_anew(state, paid, at))
        }
        E::RefundReported(refund) if refund.payment_intent != paid.payment.intent => {
            Err(Refused::because("this gives back another payment"))
        }
        E::RefundReported(refund) if is_known(&paid.returns, refund) => {
            Err(Refused::because("this was known of the refund"))
        }
        E::RefundReported(_) | E::ReturnsChanged => look(state, paid, at),
        E::ChargeRetrieved { reading, .. } | E::ChargeUnreadable { reading, .. }
            if *reading != paid.returns.readings || paid.returns.reading == Reading::Idle =>
        {
            Err(Refused::because("this is the answer to an earlier reading"))
        }
        E::ChargeRetrieved { charge, .. } => Ok(fold(state, paid, charge, at)),
        E::ChargeUnreadable { failure, .. } => Ok(read_over(state, paid, failure, at)),
        E::RefundFailed(_) => Ok(look_anew(state, paid, at)),

        // What was refused, or discarded by a person, may have happened: it is read before anybody is told.
        E::ReversalRefused { cause, transfer, failure } => {
            let mut paid = paid;
            paid.returns.creator.refused(cause, &Call::TakeBack(transfer.clone()), failure);
            Ok(look_anew(state, paid, at))
        }
        E::TransferRefused { cause, failure } => {
            let mut paid = paid;
            paid.returns.creator.refused(cause, &Call::PassOn, failure);
            Ok(look_anew(state, paid, at))
        }
        E::FraudWarning { warning } => Ok(stay(state, &paid).record(fraud_warning(warning))),

        // The fee may become known before the payment does: a posting stands in any order.
        E::ProcessorFee(fee) => {
            let money = Money::new(paid.payment.amount, paid.payment.currency);
            Ok(processor_fee(stay(state, &paid), &paid.order, fee, money))
        }
        E::TimerFired => Ok(look_anew(state, paid, at)),

        E::Request(_)
        | E::SessionCreated { .. }
        | E::SessionFailed(_)
        | E::SessionReported(_)
        | E::SessionRetrieved(_)
        | E::SessionUnreadable(_)
        | E::GrantLost { .. }
        | E::InterestLost { .. }
        | E::SellerLost
        | E::Cancel => Err(Refused::unplaced(state, event)),
    }
}

fn is_known(returns: &Returns, refund: &Refund) -> bool {
    returns.refunds.iter().any(|known| known.id == refund.id && known.status == refund.status)
}

/// Reads Stripe, unless it is being read: then once more afterwards.
pub(super) fn look(state: &State, mut paid: Paid, at: Timestamp) -> Result<Step<State>, Refused> {
    match paid.returns.reading {
        Reading::Idle => Ok(read(state, paid, at)),
        Reading::UnderWay(since) => {
            paid.returns.reading = Reading::OnceMore(since);
            Ok(stay(&with(state, paid.clone()), &paid))
        }
        Reading::OnceMore(_) => Err(Refused::because("Stripe is read once more already")),
    }
}

/// The same, where the state has changed, or a reading may have to be given up.
fn look_anew(state: &State, paid: Paid, at: Timestamp) -> Step<State> {
    match paid.returns.reading {
        Reading::Idle => read(state, paid, at),
        under_way if under_way.given_up().is_some_and(|until| until <= at) => read(state, paid, at),
        Reading::UnderWay(since) | Reading::OnceMore(since) => {
            let mut paid = paid;
            paid.returns.reading = Reading::OnceMore(since);
            stay(&with(state, paid.clone()), &paid)
        }
    }
}

fn read(state: &State, mut paid: Paid, at: Timestamp) -> Step<State> {
    let effect = begin_reading(&mut paid, at);
    stay(&with(state, paid.clone()), &paid).effect(effect)
}

pub(super) fn begin_reading(paid: &mut Paid, at: Timestamp) -> Effect {
    let returns = &mut paid.returns;
    returns.readings = returns.readings.saturating_add(1);
    returns.reading = Reading::UnderWay(at);
    returns.look_at = returns.reading.given_up();
    let payment_intent = paid.payment.intent.clone();
    Effect::RetrieveCharge { payment_intent, reading: returns.readings }
}

/// What a reading leaves behind: one more, if something happened meanwhile; else the next look is set.
pub(super) fn end_reading(paid: &mut Paid, at: Timestamp) -> Option<Effect> {
    match paid.returns.reading {
        Reading::OnceMore(_) => Some(begin_reading(paid, at)),
        Reading::Idle | Reading::UnderWay(_) => {
            paid.returns.reading = Reading::Idle;
            paid.returns.look_at = paid.returns.is_under_way().then(|| at.plus(LOOK_AGAIN));
            None
        }
    }
}

/// It could not be read: later, then, and a person sees why.
fn read_over(state: &State, mut paid: Paid, failure: &Failure, at: Timestamp) -> Step<State> {
    let again = end_reading(&mut paid, at);
    if again.is_none() {
        paid.returns.look_at = Some(at.plus(LOOK_AGAIN));
    }
    let case = OperatorCase {
        kind: CaseKind::PaymentUnreadable,
        key: paid.payment.intent.clone(),
        detail: format!(
            "what came back of {} cannot be read at Stripe ({}), and is not posted until it can",
            paid.payment.intent, failure.message
        ),
    };
    let step = stay(&with(state, paid.clone()), &paid).record(Record::OperatorCase(case));
    Step { effects: again.into_iter().collect(), ..step }
}

/// In the state that it is in, with the look that was set.
pub(super) fn stay(state: &State, paid: &Paid) -> Step<State> {
    Step { wake_at: paid.returns.next_look(), ..Step::to(state.clone()) }
}

/// The same state, knowing something else.
pub(super) fn with(state: &State, Paid { order, payment, returns }: Paid) -> State {
    match state {
        State::PartlyRefunded { .. } => State::PartlyRefunded { order, payment, returns },
        State::Refunded { .. } => State::Refunded { order, payment, returns },
        State::Disputed { .. } => State::Disputed { order, payment, returns },
        State::ChargedBack { .. } => State::ChargedBack { order, payment, returns },
        State::RefundingDuplicate { .. } => State::RefundingDuplicate { order, payment, returns },
        State::Quarantined { .. } => State::Quarantined { order, payment, returns },
        State::Settled { .. }
        | State::CreatingSession { .. }
        | State::AwaitingPayment { .. }
        | State::AwaitingFunds { .. }
        | State::Expiring { .. }
        | State::Confirming { .. }
        | State::Expired { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => State::Settled { order, payment: Some(payment), returns },
    }
}

/// Reads the payment at once after it was settled by reading its session.
pub(super) fn and_look(step: Step<State>, at: Timestamp) -> Step<State> {
    match paid_of(&step.state) {
        Some(mut paid) => {
            let effect = begin_reading(&mut paid, at);
            let state = with(&step.state, paid.clone());
            Step { state, wake_at: paid.returns.look_at, ..step }.effect(effect)
        }
        None => step,
    }
}

/// What was paid, in the states after that.
pub(super) fn paid_of(state: &State) -> Option<Paid> {
    match state.clone() {
        State::Settled { order, payment: Some(payment), returns }
        | State::PartlyRefunded { order, payment, returns }
        | State::Refunded { order, payment, returns }
        | State::Disputed { order, payment, returns }
        | State::ChargedBack { order, payment, returns }
        | State::RefundingDuplicate { order, payment, returns }
        | State::Quarantined { order, payment, returns } => Some(Paid { order, payment, returns }),
        State::Settled { payment: None, .. }
        | State::CreatingSession { .. }
        | State::AwaitingPayment { .. }
        | State::AwaitingFunds { .. }
        | State::Expiring { .. }
        | State::Confirming { .. }
        | State::Expired { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => None,
    }
}

/// The state that follows from what is known, and what the API calls it.
pub(super) fn placed(state: &State, paid: Paid) -> (State, CheckoutStatus) {
    let Paid { order, payment, returns } = paid;
    let under_way = !returns.reserved.is_empty() || returns.is_on_its_way_back();
    let never = returns.access == Access::Never;
    match returns.grounds(payment.amount) {
        GrantKind::ChargedBack => {
            (State::ChargedBack { order, payment, returns }, CheckoutStatus::ChargedBack)
        }
        GrantKind::Refunded => {
            (State::Refunded { order, payment, returns }, CheckoutStatus::Refunded)
        }
        _ if never && matches!(state, State::RefundingDuplicate { .. }) && under_way => {
            (State::RefundingDuplicate { order, payment, returns }, CheckoutStatus::Settled)
        }
        _ if never => (State::Quarantined { order, payment, returns }, CheckoutStatus::InReview),
        _ if returns.is_disputed() => {
            (State::Disputed { order, payment, returns }, CheckoutStatus::Disputed)
        }
        _ if returns.refunded() > 0 => {
            (State::PartlyRefunded { order, payment, returns }, CheckoutStatus::PartlyRefunded)
        }
        _ => {
            let payment = Some(payment);
            (State::Settled { order, payment, returns }, CheckoutStatus::Settled)
        }
    }
}

/// The money of a payment that was granted nothing is set aside at once, and asked back like any other.
fn give_back(mut paid: Paid, withheld: Withheld, at: Timestamp) -> Step<State> {
    let refund = RefundId::of(paid.order.sale.checkout, withheld.code());
    paid.returns.access = Access::Never;
    paid.returns.withheld = withheld;
    let whole = paid.payment.amount;
    let all = paid.returns.refundable(whole);
    paid.returns.set_aside(whole, refund, all, AccessAfter::Kept);
    paid.returns.look_at.get_or_insert(at.plus(LOOK_AGAIN));
    let wish = Wish {
        refund,
        sale: paid.order.sale.paid_in(paid.payment.currency),
        amount: None,
        expected: None,
        reason: withheld.refund_reason(),
        access: AccessAfter::Kept,
        by: None,
    };
    let message = Message::Refund(refund, refund::Event::Request(Box::new(wish)));
    let wake_at = paid.returns.next_look();
    let status = match paid.returns.refunded() {
        0 => CheckoutStatus::Settled,
        _ => CheckoutStatus::PartlyRefunded,
    };
    let row = CheckoutUpdate {
        reason: Some(withheld.code().to_owned()),
        ..super::steps::update(&paid.order, status)
    };
    let Paid { order, payment, returns } = paid;
    let step = Step::to(State::RefundingDuplicate { order, payment, returns });
    Step { wake_at, ..step }.record(Record::Checkout(row)).record(Record::Send(message))
}

/// The judge: sets the money aside and says so, or says why not.
fn reserve(state: &State, mut paid: Paid, wish: &Wish, at: Timestamp) -> Step<State> {
    let (answer, next) = match paid.returns.reserve(paid.payment.amount, wish) {
        Err(why) => (refund::Event::Rejected(why), state.clone()),
        Ok(amount) => {
            paid.returns.look_at.get_or_insert(at.plus(LOOK_AGAIN));
            (reserved(&paid, wish.refund, amount), with(state, paid.clone()))
        }
    };
    stay(&next, &paid).record(Record::Send(Message::Refund(wish.refund, answer)))
}

/// What Stripe is to be asked for: the creator's part and the fee come back with it, as far as there is enough of
/// both. Stripe refuses the question otherwise.
fn reserved(paid: &Paid, refund: RefundId, amount: i64) -> refund::Event {
    let returns = &paid.returns;
    let transfer = returns.reservation(refund).map_or(TransferReturn::Returned, |one| one.transfer);
    let fee_is_left = returns.creator.fee_returned < paid.order.sale.fee;
    refund::Event::Reserved {
        amount: Money::new(amount, paid.payment.currency),
        payment_intent: paid.payment.intent.clone(),
        fee: match transfer {
            TransferReturn::Returned if fee_is_left => FeeReturn::Returned,
            TransferReturn::Returned | TransferReturn::Apart => FeeReturn::NoFee,
        },
        transfer,
    }
}

fn fraud_warning(warning: &str) -> Record {
    Record::OperatorCase(OperatorCase {
        kind: CaseKind::EarlyFraudWarning,
        key: warning.to_owned(),
        detail: "a card network believes that this payment is fraud: refunded now, it costs less than a \
                 dispute"
            .to_owned(),
    })
}

/// Why a purchase was given back, where nobody of the handle's asked for it: a short code.
pub(super) fn reason(paid: &Paid) -> Option<&'static str> {
    match paid.returns.access {
        Access::Never if is_as_agreed(&paid.order, &paid.payment) => {
            Some(paid.returns.withheld.code())
        }
        Access::Never => Some("amount_mismatch"),
        Access::Given | Access::Ended(_) => None,
    }
}

/// The purchase's row, with a payment.
pub(super) fn row(paid: &Paid, status: CheckoutStatus) -> CheckoutUpdate {
    let reason = match status {
        CheckoutStatus::Refunded => reason(paid),
        CheckoutStatus::InReview if is_as_agreed(&paid.order, &paid.payment) => {
            Some(paid.returns.withheld.code_not_refunded())
        }
        _ => None,
    };
    CheckoutUpdate {
        reason: reason.map(str::to_owned),
        ..super::steps::update(&paid.order, status)
    }
}
