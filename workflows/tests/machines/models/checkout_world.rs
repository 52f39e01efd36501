//! The world of one purchase: the session, the payment and the refunds as they really are at Stripe, what is
//! on its way, and what our records come to.

use std::collections::{BTreeMap, BTreeSet};

use workflows::{
    checkout::{Checkout, Event, State},
    effect::{Answer, Effect, Mail},
    id::RefundId,
    ledger::{Account, Share, Transaction},
    message::Message,
    reading::Reading,
    record::{CheckoutStatus, Record},
    refund,
    stripe::{Charge, Outcome, Refund, RefundStatus, Session},
    workflow::Workflow,
};

use super::Call;
use crate::{
    examples::{FEE, START, checkout_id, failure, group_buy, refund, rival_id},
    examples_returns::charge,
};

const WITHDRAWN: &str = "interest_withdrawn";

/// The refund that the machine asks for, and one that an operator makes in Stripe's dashboard.
pub const OURS: &str = "re_1";
pub const BY_HAND: &str = "re_2";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub run: State,
    pub timer: bool,
    pub calls: Vec<Call>,
    /// Facts that Stripe has sent.
    pub sent: Facts,
    /// The session at Stripe, once it exists.
    pub session: Option<Outcome>,
    /// The refunds at Stripe.
    pub refunds: BTreeMap<&'static str, RefundStatus>,
    /// Who has access to the page.
    pub holder: Option<Holder>,
    /// The refund of a duplicate. The messages between the two are delivered at once: `returns` delays them.
    pub duplicate: Option<refund::State>,
    /// That this purchase lost the access is on its way to it. Our own message: neither lost nor repeated.
    pub lost: Option<Event>,
    /// Whether the visitor is interested in the group buy that the purchase needs an interest in.
    pub interested: bool,
    pub ledger: BTreeMap<String, Transaction>,
    /// What the purchase's row says.
    pub row: Option<CheckoutStatus>,
    /// A person knows.
    pub case: bool,
    pub receipts: u8,
    /// What went wrong on the way here: each is a promise that was broken by one step.
    pub broken: Broken,
    /// The session took a turn that nothing but a webhook can tell: Stripe contradicted itself, or an
    /// operator discarded a call that had been performed.
    pub untold: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    Us,
    Rival,
}

/// Facts about the session, the fee, and the refunds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts {
    pub unpaid: bool,
    pub paid: bool,
    pub payment_failed: bool,
    pub expired: bool,
    pub fee: bool,
    pub refunds: std::collections::BTreeSet<(&'static str, u8)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Broken {
    pub unbalanced: bool,
    pub posted_again: bool,
    pub wrong_grant: bool,
    pub went_back: bool,
}

impl World {
    /// The event reaches the run, and what the step wants is done.
    pub fn hear(&mut self, event: &Event) -> bool {
        if *event == Event::TimerFired {
            self.timer = false;
        }
        let Ok(step) = Checkout::step(&self.run, event, START) else {
            return false;
        };
        self.broken.went_back |= goes_back(&self.run, &step.state);
        self.timer = step.wake_at.is_some();
        self.run = step.state;
        self.carry_out(step.effects, step.records);
        true
    }

    fn carry_out(&mut self, effects: Vec<Effect>, records: Vec<Record>) {
        for effect in effects {
            match effect {
                Effect::SendMail(Mail::Receipt(_)) => self.receipts += 1,
                Effect::SendMail(_) => {}
                effect => self.calls.push(Call::new(effect)),
            }
        }
        begin_again(&mut self.run, &mut self.calls, 0);
        records.into_iter().for_each(|record| self.write(record));
    }

    fn hear_duplicate(&mut self, event: &refund::Event) {
        let step = match &self.duplicate {
            None => refund::Refund::start(event, START),
            Some(state) => refund::Refund::step(state, event, START),
        };
        if let Ok(step) = step {
            self.duplicate = Some(step.state);
            self.carry_out(step.effects, step.records);
        }
    }

    fn write(&mut self, record: Record) {
        match record {
            Record::Ledger(transaction) => {
                self.broken.unbalanced |= !transaction.is_balanced();
                // A fee may be told twice; a payment or a refund must not even be tried twice.
                let once = !transaction.key.starts_with("fee:");
                self.broken.posted_again |= once && self.ledger.contains_key(&transaction.key);
                self.ledger.entry(transaction.key.clone()).or_insert(transaction);
            }
            Record::Grant(grant) => {
                self.broken.wrong_grant |= !self.is_paid_as_agreed();
                match self.holder {
                    _ if !grant.interests.is_empty() && !self.interested => {
                        self.lost = Some(Event::InterestLost { group_buy: group_buy() });
                    }
                    None => self.holder = Some(Holder::Us),
                    Some(Holder::Us) => {}
                    Some(Holder::Rival) => {
                        self.lost = Some(Event::GrantLost { holder: rival_id() });
                    }
                }
            }
            Record::OperatorCase(_) => self.case = true,
            Record::Checkout(update) => self.row = Some(update.status),
            Record::Send(Message::Refund(_, event)) => self.hear_duplicate(&event),
            Record::Send(Message::Checkout(_, event)) => {
                self.hear(&event);
            }
            Record::StripeObject(_) | Record::Refund(_) => {}
            Record::ConnectAccount(_)
            | Record::PastConnectAccount(_)
            | Record::LoginLink(_)
            | Record::Marker(_)
            | Record::VisitorSession(_)
            | Record::PlanSubscription(_)
            | Record::Payout(_)
            | Record::Access(_)
            | Record::Dispute(_)
            | Record::Send(_) => panic!("not a record of a checkout: {record:?}"),
        }
    }

    /// A call does what it is for. Reading and expiring answer with the session as it is at this moment.
    pub fn perform(&mut self, call: usize) {
        let effect = self.calls[call].effect.clone();
        let answer = match effect {
            Effect::CreateCheckoutSession(_) => {
                self.session = Some(Outcome::Open);
                Answer::SessionCreated { session: "cs_1".to_owned(), url: "https://…".to_owned() }
            }
            Effect::RetrieveCheckoutSession { .. } => self.read_session(),
            Effect::ExpireCheckoutSession { .. } => {
                if self.session == Some(Outcome::Open) {
                    self.session = Some(Outcome::Expired);
                    self.sent.expired = true;
                }
                self.read_session()
            }
            Effect::CreateRefund { amount, .. } => {
                if self.refunds.values().any(|status| *status == RefundStatus::Succeeded) {
                    Answer::Failed(failure("charge_already_refunded"))
                } else {
                    self.refund(OURS, RefundStatus::Succeeded);
                    Answer::RefundCreated(self.at_stripe(OURS, amount, RefundStatus::Succeeded))
                }
            }
            Effect::RetrieveCharge { .. } => Answer::ChargeRetrieved(Box::new(self.charge())),
            Effect::CreateTransfer { .. } => {
                Answer::TransferCreated { transfer: "tr_2".to_owned() }
            }
            effect => panic!("not an effect of a checkout: {effect:?}"),
        };
        self.calls[call].answer = Some(answer);
    }

    /// Stripe accepts the refund, but the money is not there yet.
    pub fn perform_slowly(&mut self, call: usize) {
        if let Effect::CreateRefund { amount, .. } = self.calls[call].effect {
            self.refund(OURS, RefundStatus::Pending);
            let answer = Answer::RefundCreated(self.at_stripe(OURS, amount, RefundStatus::Pending));
            self.calls[call].answer = Some(answer);
        }
    }

    fn read_session(&self) -> Answer {
        let outcome = self.session.clone().unwrap_or(Outcome::Open);
        Answer::SessionRetrieved(Session { id: "cs_1".to_owned(), outcome })
    }

    /// The answer of a performed call reaches the run.
    pub fn answer(&mut self, call: usize) {
        let Call { effect, answer } = self.calls.remove(call);
        let Some(answer) = answer else { return };
        if let Effect::CreateRefund { .. } = effect {
            if let Some(event) = refund::Refund::on_answer(&effect, &answer) {
                self.hear_duplicate(&event);
            }
        } else if let Some(event) = Checkout::on_answer(&effect, &answer) {
            self.hear(&event);
        }
    }

    /// The transfer can be taken back once.
    fn charge(&self) -> Charge {
        let paid = self.payment().unwrap();
        let refunds = self.refunds.iter().map(|(id, status)| self.at_stripe(id, paid, *status));
        let back = Share { reversed: paid, fee: FEE };
        let mut charge = charge(
            paid,
            refunds.collect(),
            Vec::new(),
            if self.refunds.is_empty() { Share::default() } else { back },
        );
        if let (Some(Outcome::Paid(payment)), Some(transfer)) =
            (&self.session, &mut charge.transfer)
        {
            transfer.currency = payment.currency;
        }
        charge
    }

    pub fn refund(&mut self, id: &'static str, status: RefundStatus) {
        self.refunds.insert(id, status);
        self.sent.refunds.insert((id, status as u8));
    }

    /// A refund as Stripe shows it: ours names what asked for it.
    pub fn at_stripe(&self, id: &str, amount: i64, status: RefundStatus) -> Refund {
        let withheld = if self.holder == Some(Holder::Rival) { "duplicate" } else { WITHDRAWN };
        Refund {
            asked: (id == OURS).then(|| RefundId::of(checkout_id(), withheld)),
            ..refund(id, amount, status)
        }
    }

    /// What is left when nobody does anything more and every webhook is lost.
    pub fn left_alone(&self) -> World {
        let mut world = self.clone();
        for _ in 0..6 {
            while !world.calls.is_empty() {
                if world.calls[0].answer.is_none() {
                    world.perform(0);
                }
                world.answer(0);
            }
            if let Some(lost) = world.lost.take() {
                world.hear(&lost);
            } else if world.timer {
                world.hear(&Event::TimerFired);
            }
        }
        world
    }

    /// Minor units that Stripe was paid.
    pub fn payment(&self) -> Option<i64> {
        match &self.session {
            Some(Outcome::Paid(payment)) => Some(payment.amount),
            _ => None,
        }
    }

    fn is_paid_as_agreed(&self) -> bool {
        let (State::Settled { order, .. }
        | State::AwaitingPayment { order, .. }
        | State::CreatingSession { order, .. }) = &self.run
        else {
            return false;
        };
        match &self.session {
            Some(Outcome::Paid(payment)) => {
                payment.amount == order.sale.amount && payment.currency == order.sale.currency
            }
            _ => order.sale.amount == 0,
        }
    }

    /// Whether the API shows the purchase as it is.
    pub fn row_is_right(&self) -> bool {
        use CheckoutStatus as Row;
        let shown: &[Option<Row>] = match &self.run {
            State::CreatingSession { .. } => &[None],
            State::AwaitingPayment { .. } => &[Some(Row::Open)],
            State::AwaitingFunds { .. } => &[Some(Row::Processing)],
            // A session that was made while the purchase was called off is closed after all.
            State::Expiring { .. } => &[Some(Row::Open), Some(Row::Expired)],
            State::Confirming { .. } => &[Some(Row::Expired), Some(Row::Failed)],
            State::Settled { .. } | State::RefundingDuplicate { .. } => &[Some(Row::Settled)],
            State::PartlyRefunded { .. } => &[Some(Row::PartlyRefunded)],
            State::Disputed { .. } => &[Some(Row::Disputed)],
            State::ChargedBack { .. } => &[Some(Row::ChargedBack)],
            State::Refunded { .. } => &[Some(Row::Refunded)],
            State::Quarantined { .. } => &[Some(Row::InReview)],
            State::Expired { .. } | State::Cancelled { .. } => &[Some(Row::Expired)],
            State::Failed { .. } => &[Some(Row::Failed)],
        };
        shown.contains(&self.row)
    }

    /// Whether any money of the buyer's is on its way back, or there.
    pub fn gave_back(&self) -> bool {
        self.refunds
            .values()
            .any(|status| matches!(status, RefundStatus::Pending | RefundStatus::Succeeded))
    }

    /// Minor units on an account of the ledger, without the processor's fee.
    pub fn balance(&self, of: fn(&Account) -> bool) -> i64 {
        let sales = self.ledger.values().filter(|posting| !posting.key.starts_with("fee:"));
        let entries = sales.flat_map(|posting| &posting.entries);
        entries.filter(|entry| of(&entry.account)).map(|entry| entry.amount).sum()
    }
}

/// Readings are numbered and timed, which would make the world endless: those that are under way are counted, and
/// the start is always now, however many milliseconds have passed.
pub fn begin_again(run: &mut State, calls: &mut [Call], passed: i64) {
    let (State::Settled { returns, .. }
    | State::PartlyRefunded { returns, .. }
    | State::Refunded { returns, .. }
    | State::Disputed { returns, .. }
    | State::ChargedBack { returns, .. }
    | State::RefundingDuplicate { returns, .. }
    | State::Quarantined { returns, .. }) = run
    else {
        return;
    };
    returns.look_at = returns.look_at.map(|at| at.plus(-passed));
    returns.reading = match returns.reading {
        Reading::Idle => Reading::Idle,
        Reading::UnderWay(since) => Reading::UnderWay(since.plus(-passed)),
        Reading::OnceMore(since) => Reading::OnceMore(since.plus(-passed)),
    };
    let readings = calls.iter_mut().filter_map(|call| match &mut call.effect {
        Effect::RetrieveCharge { reading, .. } => Some(reading),
        _ => None,
    });
    let mut readings: Vec<_> = readings.chain([&mut returns.readings]).collect();
    let known: BTreeSet<u32> = readings.iter().map(|reading| **reading).collect();
    let nth = |reading: u32| u32::try_from(known.range(..reading).count()).unwrap();
    readings.iter_mut().for_each(|reading| **reading = nth(**reading));
}

/// How far a purchase is. Closed is not the end of the way: it may turn out to be paid.
fn goes_back(from: &State, to: &State) -> bool {
    let stage = |state: &State| match state {
        State::CreatingSession { .. } => 0,
        State::AwaitingPayment { .. } => 1,
        State::Expiring { .. } => 2,
        State::AwaitingFunds { .. }
        | State::Expired { .. }
        | State::Failed { .. }
        | State::Cancelled { .. }
        | State::Confirming { .. } => 3,
        State::Settled { .. }
        | State::PartlyRefunded { .. }
        | State::Disputed { .. }
        | State::ChargedBack { .. } => 4,
        State::RefundingDuplicate { .. } => 5,
        State::Quarantined { .. } => 6,
        State::Refunded { .. } => 7,
    };
    // A session that was made while the purchase was called off is closed after all.
    let reopened = matches!((from, to), (State::Cancelled { .. }, State::Expiring { .. }));
    // A refund that was on its way failed.
    let failed = matches!((from, to), (State::Refunded { .. }, State::Quarantined { .. }));
    stage(to) < stage(from) && !reopened && !failed
}
