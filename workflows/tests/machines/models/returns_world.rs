//! The world of a payment of which money comes back: the purchase, the refunds that were asked for and the
//! dispute, each a run of its own, with what they say to each other; Stripe as it really is; and what our records
//! come to. The scenarios live in it, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use workflows::{
    Timestamp,
    checkout::{self, Checkout, State, returns::Returns},
    dispute::{self, Dispute},
    effect::{Answer, Effect, FeeReturn},
    id::{DisputeId, RefundId},
    ledger::{Account, Transaction},
    message::Message,
    money::Currency,
    record::{self, CheckoutStatus, GrantKind, Record},
    refund::{self, AccessAfter, Refund, Wish},
    stripe::{DisputeStatus, Outcome, RefundStatus},
    workflow::Workflow,
};

use super::{Call, checkout_world::begin_again, returns_stripe::Stripe};
use crate::{
    examples::{START, checkout_id, failure, payment, reported, request, rival_id, sale},
    examples_returns::wish_of,
};

/// What is paid in the models, minor units.
pub const PAID: i64 = 100;
/// The platform's part of it.
pub const FEE: i64 = 7;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub purchase: State,
    /// Milliseconds from now. All happens at the start, but for what a timer waits for.
    pub timer: Option<i64>,
    pub refunds: BTreeMap<RefundId, refund::State>,
    pub dispute: Option<dispute::State>,
    pub calls: Vec<Call>,
    /// Our own messages, each with the refund that sent it, if the purchase did not: neither lost nor repeated,
    /// and in their order between the same two.
    pub messages: Vec<(Option<RefundId>, Message)>,
    pub stripe: Stripe,
    pub ledger: Ledger,
    pub access: GrantKind,
    pub row: CheckoutStatus,
    pub refund_rows: BTreeMap<RefundId, record::RefundStatus>,
    pub dispute_row: Option<&'static str>,
    /// What a person knows.
    pub cases: BTreeSet<&'static str>,
    pub broken: Broken,
    /// Of which transfers Stripe was asked to take something back, and for what.
    pub taken_back: BTreeSet<(String, String)>,
    /// Stripe has something that nothing but a webhook can tell.
    pub untold: bool,
}

/// Minor units on each account, and a hash of the key of every posting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    pub stripe: i64,
    pub platform_fee: i64,
    pub creator: i64,
    pub due: i64,
    pub dispute_hold: i64,
    pub dispute_fee: i64,
    posted: BTreeSet<u64>,
}

/// What went wrong on the way here: each is a promise that was broken by one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Broken {
    pub unbalanced: bool,
    pub posted_again: bool,
    pub went_back: bool,
    pub timer_in_the_past: bool,
    pub refused_wish_at_stripe: bool,
    pub wish_at_stripe_twice: bool,
    pub taken_back_twice: bool,
}

/// How Stripe answers a wish for a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    AtOnce,
    Slowly,
}

impl World {
    /// Paid, and granted.
    pub fn settled() -> Self {
        Self::paid(PAID, FEE)
    }

    /// Paid so much, of which so much is the platform's.
    pub fn paid(amount: i64, fee: i64) -> Self {
        let step = Checkout::start(&request(amount, fee), START).unwrap();
        let paid = reported(Outcome::Paid(payment("pi_1", amount, Currency::USD)));
        let mut world = World {
            purchase: step.state,
            timer: None,
            refunds: BTreeMap::new(),
            dispute: None,
            calls: Vec::new(),
            messages: Vec::new(),
            stripe: Stripe::new(amount, fee),
            ledger: Ledger::default(),
            access: GrantKind::Paid,
            row: CheckoutStatus::Settled,
            refund_rows: BTreeMap::new(),
            dispute_row: None,
            cases: BTreeSet::new(),
            broken: Broken::default(),
            taken_back: BTreeSet::new(),
            untold: false,
        };
        world.tell_purchase(&paid);
        world
    }

    /// Another purchase of the same page had the access.
    pub fn duplicate() -> Self {
        let mut world = Self::settled();
        world.tell_purchase(&checkout::Event::GrantLost { holder: rival_id() });
        world
    }

    pub fn wish(&mut self, refund: RefundId, amount: i64, access: AccessAfter) {
        let wish = wish_of(sale(self.stripe.paid, self.stripe.fee), refund, Some(amount));
        self.tell_refund(refund, &refund::Event::Request(Box::new(Wish { access, ..wish })));
    }

    pub fn tell_purchase(&mut self, event: &checkout::Event) -> bool {
        self.tell_purchase_at(event, START)
    }

    fn tell_purchase_at(&mut self, event: &checkout::Event, at: Timestamp) -> bool {
        if *event == checkout::Event::TimerFired {
            self.timer = None;
        }
        let Ok(step) = Checkout::step(&self.purchase, event, at) else { return false };
        self.broken.went_back |= went_back(&self.purchase, &step.state, &self.stripe);
        self.timer = step.wake_at.map(|wake_at| wake_at.millis() - at.millis());
        self.broken.timer_in_the_past |= self.timer.is_some_and(|timer| timer <= 0);
        self.purchase = step.state;
        self.carry_out(None, step.effects, step.records);
        let passed = at.millis() - START.millis();
        begin_again(&mut self.purchase, &mut self.calls, passed);
        true
    }

    pub fn tell_refund(&mut self, refund: RefundId, event: &refund::Event) {
        let before = self.refunds.get(&refund);
        let step = match before {
            None => Refund::start(event, START),
            Some(state) => Refund::step(state, event, START),
        };
        let Ok(step) = step else { return };
        self.broken.went_back |= before.is_some_and(|before| refund_went_back(before, &step.state));
        let asks = |effect: &Effect| matches!(effect, Effect::CreateRefund { .. });
        let had_asked = !matches!(before, None | Some(refund::State::Reserving { .. }));
        self.broken.wish_at_stripe_twice |= had_asked && step.effects.iter().any(asks);
        self.refunds.insert(refund, step.state);
        self.carry_out(Some(refund), step.effects, step.records);
    }

    fn tell_dispute(&mut self, event: &dispute::Event) {
        let step = match &self.dispute {
            None => Dispute::start(event, START),
            Some(state) => Dispute::step(state, event, START),
        };
        let Ok(step) = step else { return };
        let before = self.dispute.as_ref();
        self.broken.went_back |=
            before.is_some_and(|before| dispute_went_back(before, &step.state));
        self.dispute = Some(step.state);
        self.carry_out(None, step.effects, step.records);
    }

    fn carry_out(&mut self, by: Option<RefundId>, effects: Vec<Effect>, records: Vec<Record>) {
        let mails = |effect: &Effect| matches!(effect, Effect::SendMail(_));
        for effect in &effects {
            if let Effect::ReverseTransfer { transfer, cause, .. } = effect {
                let is_first = self.taken_back.insert((transfer.clone(), cause.clone()));
                self.broken.taken_back_twice |= !is_first;
            }
        }
        self.calls.extend(effects.into_iter().filter(|effect| !mails(effect)).map(Call::new));
        for record in records {
            match record {
                Record::Ledger(transaction) => self.post(&transaction),
                Record::Access(update) => self.access = update.kind,
                Record::Checkout(update) => self.row = update.status,
                Record::Refund(row) => {
                    self.refund_rows.insert(row.refund, row.status);
                }
                Record::Dispute(row) => {
                    assert_eq!(row.dispute, DisputeId::of(checkout_id(), "dp_1"));
                    self.dispute_row = Some(row.status.into());
                }
                Record::OperatorCase(case) => {
                    self.cases.insert(case.kind.into());
                }
                // A dispute says nothing to anybody: when it hears something makes no difference.
                Record::Send(Message::Dispute(_, event)) => self.tell_dispute(&event),
                Record::Send(message) => self.messages.push((by, message)),
                Record::Grant(_) | Record::StripeObject(_) => {}
                Record::ConnectAccount(_)
                | Record::PastConnectAccount(_)
                | Record::LoginLink(_)
                | Record::Marker(_)
                | Record::VisitorSession(_)
                | Record::PlanSubscription(_)
                | Record::Payout(_) => panic!("not a record of a payment: {record:?}"),
            }
        }
    }

    fn post(&mut self, transaction: &Transaction) {
        self.broken.unbalanced |= !transaction.is_balanced();
        let mut hasher = DefaultHasher::new();
        transaction.key.hash(&mut hasher);
        self.broken.posted_again |= !self.ledger.posted.insert(hasher.finish());
        for entry in &transaction.entries {
            let balance = match &entry.account {
                Account::Stripe => &mut self.ledger.stripe,
                Account::PlatformFee => &mut self.ledger.platform_fee,
                // The one that was paid, whatever account the creator has by now.
                Account::Creator(account) if account == "acct_1" => &mut self.ledger.creator,
                Account::Due(_) => &mut self.ledger.due,
                Account::DisputeHold(_) => &mut self.ledger.dispute_hold,
                Account::DisputeFee => &mut self.ledger.dispute_fee,
                account => panic!("not an account of this payment: {account}"),
            };
            *balance += entry.amount;
        }
    }

    /// Messages that may be next: the oldest between each two.
    pub fn next_messages(&self) -> Vec<usize> {
        let between = |(by, message): &(Option<RefundId>, Message)| (*by, message.run());
        let is_oldest = |nth: &usize| {
            let before = &self.messages[..*nth];
            before.iter().all(|earlier| between(earlier) != between(&self.messages[*nth]))
        };
        (0..self.messages.len()).filter(is_oldest).collect()
    }

    pub fn deliver(&mut self, nth: usize) {
        match self.messages.remove(nth).1 {
            Message::Checkout(_, event) => {
                self.tell_purchase(&event);
            }
            Message::Refund(refund, event) => self.tell_refund(refund, &event),
            message => panic!("not a message about a payment: {message:?}"),
        }
    }

    pub fn fire(&mut self) -> bool {
        let Some(timer) = self.timer else { return false };
        self.tell_purchase_at(&checkout::Event::TimerFired, START.plus(timer))
    }

    /// A call does what it is for.
    pub fn perform(&mut self, call: usize, pace: Pace) {
        let effect = self.calls[call].effect.clone();
        let answer = match effect {
            Effect::RetrieveCharge { reading, .. } => {
                // Nobody hears the answer to an earlier one.
                self.untold &= !is_newest(&self.purchase, reading);
                Ok(Answer::ChargeRetrieved(Box::new(self.stripe.charge())))
            }
            Effect::CreateRefund { amount, asked, transfer, fee, .. } => {
                let rejected = asked.and_then(|asked| self.refunds.get(&asked));
                self.broken.refused_wish_at_stripe |=
                    matches!(rejected, Some(refund::State::Rejected { .. }));
                let status = match pace {
                    Pace::AtOnce => RefundStatus::Succeeded,
                    Pace::Slowly => RefundStatus::Pending,
                };
                let no_fee_left = self.stripe.fee_returned == self.stripe.fee;
                match fee == FeeReturn::Returned && no_fee_left {
                    true => Err(failure("fee_already_refunded")),
                    false => self.stripe.refund(asked, amount, status, transfer),
                }
                .map(Answer::RefundCreated)
            }
            Effect::ReverseTransfer { transfer, amount, fee, cause } => {
                let reversal = "trr_1".to_owned();
                let made = self.stripe.reverse(&transfer, amount, fee, &cause);
                made.map(|()| Answer::TransferReversed { reversal })
            }
            Effect::CreateTransfer { account, amount, cause, .. } => {
                assert_eq!(account, "acct_1");
                self.stripe.transfer(amount.minor, &cause);
                Ok(Answer::TransferCreated { transfer: format!("tr_for_{cause}") })
            }
            effect => panic!("not an effect of a payment: {effect:?}"),
        };
        self.calls[call].answer = Some(answer.unwrap_or_else(Answer::Failed));
    }

    /// It is refused for good, or a person discards it.
    pub fn fail(&mut self, call: usize) {
        if let Effect::CreateTransfer { cause, .. } = &self.calls[call].effect {
            self.stripe.not_transferred += self.stripe.lost_for(cause);
        }
        self.calls[call].answer = Some(Answer::Failed(failure("discarded")));
    }

    /// A person discards it, and it had been performed all the same.
    pub fn discard(&mut self, call: usize) {
        self.perform(call, Pace::AtOnce);
        self.calls[call].answer = Some(Answer::Failed(failure("discarded")));
    }

    pub fn answer(&mut self, call: usize) {
        let Call { effect, answer } = self.calls.remove(call);
        let Some(answer) = answer else { return };
        if let Effect::CreateRefund { asked: Some(asked), .. } = effect {
            if let Some(event) = Refund::on_answer(&effect, &answer) {
                self.tell_refund(asked, &event);
            }
        } else if let Some(event) = Checkout::on_answer(&effect, &answer) {
            self.tell_purchase(&event);
        }
    }

    /// What is on its way arrives.
    pub fn run_out(&mut self) {
        for _ in 0..100 {
            if !self.messages.is_empty() {
                self.deliver(0);
            } else if !self.calls.is_empty() {
                if self.calls[0].answer.is_none() {
                    self.perform(0, Pace::AtOnce);
                }
                self.answer(0);
            } else {
                return;
            }
        }
        panic!("it does not come to an end: {self:#?}");
    }

    /// What is left when nobody does anything more and every webhook is lost.
    pub fn left_alone(&self) -> World {
        let mut world = self.clone();
        for _ in 0..3 {
            world.run_out();
            if !world.fire() {
                break;
            }
        }
        world.run_out();
        world
    }

    /// Why the ledger and the access are not what they must be by Stripe's truth, where nothing is on its way.
    pub fn disagreement(&self) -> Option<String> {
        let (ledger, stripe) = (&self.ledger, &self.stripe);
        let accounts = [
            ("stripe", ledger.stripe, stripe.holds()),
            ("creator", ledger.creator, -stripe.connected()),
            ("dispute_hold", ledger.dispute_hold, stripe.held()),
            ("dispute_fee", ledger.dispute_fee, stripe.kept()),
            ("due", ledger.due, stripe.owed()),
        ];
        if let Some((name, ours, theirs)) = accounts.iter().find(|(_, ours, theirs)| ours != theirs)
        {
            return Some(format!("{name} is {ours} instead of {theirs}"));
        }
        let access = stripe.access(|refund| self.revokes(refund.asked));
        if self.access != access && !self.never_granted() {
            return Some(format!("access is {:?} instead of {access:?}", self.access));
        }
        self.rows_disagree()
    }

    fn revokes(&self, asked: Option<RefundId>) -> bool {
        let state = asked.and_then(|asked| self.refunds.get(&asked));
        state.is_some_and(|state| wish_of_state(state).access == AccessAfter::Revoked)
    }

    pub fn never_granted(&self) -> bool {
        self.refunds.contains_key(&RefundId::of(checkout_id(), "duplicate"))
            || matches!(self.purchase, State::RefundingDuplicate { .. })
    }

    fn rows_disagree(&self) -> Option<String> {
        use record::RefundStatus as Row;
        for refund in &self.stripe.refunds {
            let id = refund.asked.unwrap_or(RefundId::of(checkout_id(), &refund.id));
            let row = match refund.status {
                RefundStatus::Pending => Row::Pending,
                RefundStatus::Succeeded => Row::Succeeded,
                RefundStatus::Failed => Row::Failed,
                RefundStatus::Canceled => Row::Canceled,
            };
            if self.refund_rows.get(&id) != Some(&row) {
                return Some(format!("{refund:?} has the row {:?}", self.refund_rows.get(&id)));
            }
        }
        let waits = |state: &&refund::State| {
            matches!(state, refund::State::Reserving { .. } | refund::State::AtStripe { .. })
        };
        if let Some(state) = self.refunds.values().find(waits) {
            return Some(format!("{state:?} waits for nothing"));
        }
        let dispute = self.stripe.dispute.as_ref().map(|dispute| match dispute.status {
            DisputeStatus::Inquiry | DisputeStatus::NeedsResponse => "OPEN",
            DisputeStatus::UnderReview => "UNDER_REVIEW",
            DisputeStatus::Won => "WON",
            DisputeStatus::Lost => "LOST",
            DisputeStatus::Closed => "CLOSED",
        });
        (self.dispute_row != dispute)
            .then(|| format!("the dispute's row is {:?}", self.dispute_row))
    }
}

pub fn wish_of_state(state: &refund::State) -> &Wish {
    match state {
        refund::State::Reserving { wish }
        | refund::State::AtStripe { wish, .. }
        | refund::State::Pending { wish, .. }
        | refund::State::Succeeded { wish, .. }
        | refund::State::Rejected { wish, .. }
        | refund::State::Failed { wish, .. }
        | refund::State::Canceled { wish, .. } => wish,
    }
}

fn is_newest(purchase: &State, reading: u32) -> bool {
    returns_of(purchase).is_some_and(|returns| returns.readings == reading)
}

pub fn returns_of(purchase: &State) -> Option<&Returns> {
    match purchase {
        State::Settled { returns, .. }
        | State::PartlyRefunded { returns, .. }
        | State::Refunded { returns, .. }
        | State::Disputed { returns, .. }
        | State::ChargedBack { returns, .. }
        | State::RefundingDuplicate { returns, .. }
        | State::Quarantined { returns, .. } => Some(returns),
        State::CreatingSession { .. }
        | State::AwaitingPayment { .. }
        | State::AwaitingFunds { .. }
        | State::Expiring { .. }
        | State::Confirming { .. }
        | State::Expired { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => None,
    }
}

/// What was paid may come back, and what was to come back may fail; nothing else turns.
fn went_back(from: &State, to: &State, stripe: &Stripe) -> bool {
    let failed = stripe.is(RefundStatus::Failed);
    let decided = !stripe.dispute.as_ref().is_some_and(|dispute| dispute.status.is_open());
    let name: fn(&State) -> &'static str = |state| state.into();
    match from {
        State::CreatingSession { .. } => false,
        State::Settled { .. } => false,
        State::PartlyRefunded { .. } => matches!(to, State::Settled { .. }) && !failed,
        State::Refunded { .. } => {
            !matches!(to, State::Refunded { .. } | State::ChargedBack { .. }) && !failed
        }
        State::Disputed { .. } => {
            matches!(to, State::Settled { .. } | State::PartlyRefunded { .. }) && !decided
        }
        State::ChargedBack { .. } => !matches!(to, State::ChargedBack { .. }),
        State::RefundingDuplicate { .. } => {
            matches!(
                to,
                State::Settled { .. } | State::PartlyRefunded { .. } | State::Disputed { .. }
            )
        }
        State::Quarantined { .. } => !matches!(
            to,
            State::Quarantined { .. } | State::Refunded { .. } | State::ChargedBack { .. }
        ),
        _ => panic!("{} is before the payment", name(from)),
    }
}

fn refund_went_back(from: &refund::State, to: &refund::State) -> bool {
    use refund::State as S;
    let stage = |state: &S| match state {
        S::Reserving { .. } => 0,
        S::AtStripe { .. } => 1,
        // It was given up here only.
        S::Failed { stripe: None, .. } => 1,
        S::Pending { .. } => 2,
        S::Succeeded { .. } => 3,
        S::Rejected { .. } | S::Failed { .. } | S::Canceled { .. } => 4,
    };
    stage(to) < stage(from)
}

fn dispute_went_back(from: &dispute::State, to: &dispute::State) -> bool {
    use dispute::State as S;
    let stage = |state: &S| match state {
        S::Opened { .. } => 0,
        S::UnderReview { .. } => 1,
        S::Won { .. } | S::Lost { .. } | S::Closed { .. } => 2,
    };
    let name: fn(&S) -> &'static str = |state| state.into();
    stage(to) < stage(from) || (stage(from) == 2 && name(from) != name(to))
}
