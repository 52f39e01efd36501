//! What a reading of Stripe leads to: whatever has come back since the last one is posted, each once, and the
//! access and the state follow from all of it. Readings may skip what happened between them; what they show
//! is where money has gone. The creator's part of it is in `passed_on`.

use super::{
    State,
    paid::{Paid, end_reading, placed, reason, row},
    returns::{Access, KnownDispute, KnownRefund, Need, Posting},
};
use crate::{
    effect::{Effect, Mail, TransferReturn},
    id::{DisputeId, RefundId},
    ledger::{self, Sale, Share},
    message::Message,
    money::{Currency, Money},
    reading::Reading,
    record::{
        self, AccessUpdate, CaseKind, GrantKind, OperatorCase, Record, RefundReason, RefundUpdate,
    },
    refund::{self, AccessAfter},
    stripe::{Charge, Dispute, Refund, RefundStatus, TransferReversal},
    timestamp::Timestamp,
    workflow::Step,
};

/// How long after a reading that shows a part of something the next one is, in milliseconds.
const LOOK_SOON: i64 = 15 * Timestamp::MINUTE;
/// How long it is until a transfer is asked for again that the platform had not the money for, in milliseconds:
/// what buyers pay becomes available within days.
const LOOK_WHEN_THERE_IS_MONEY: i64 = 6 * Timestamp::HOUR;

/// A reading being worked in.
pub(super) struct Fold {
    pub(super) sale: Sale,
    pub(super) paid: Paid,
    pub(super) at: Timestamp,
    pub(super) effects: Vec<Effect>,
    pub(super) records: Vec<Record>,
    /// What came back of transfers, and is not posted yet.
    pub(super) came_back: Vec<CameBack>,
    /// Whether the purchase was given back by version 1, which told the buyer itself and kept nothing of it.
    told_before: bool,
    /// In which currency the creator's part is passed on.
    pub(super) passed_on_in: Currency,
    /// Whether the reading was made in the middle of something.
    pub(super) is_torn: bool,
    /// Whether the platform had not the money for what is to be passed on.
    pub(super) is_short: bool,
}

/// A part of a transfer that came back.
#[derive(Clone, Debug)]
pub(super) struct CameBack {
    /// `tr_…`
    pub(super) transfer: String,
    /// With why.
    pub(super) reversal: TransferReversal,
    /// How much, with the platform's fee of it.
    pub(super) share: Share,
    /// Minor units of the fee that were taken again before, and are given up with this.
    pub(super) fee_given_up: i64,
    /// Whether it came with a refund, by itself.
    pub(super) with_refund: bool,
}

/// Works a reading in.
pub(super) fn fold(state: &State, paid: Paid, charge: &Charge, at: Timestamp) -> Step<State> {
    let sale = paid.order.sale.paid_in(paid.payment.currency);
    let passed_on_in = sale.currency;
    let told_before = matches!(state, State::Refunded { .. }) && paid.returns.refunds.is_empty();
    let mut fold = Fold {
        sale,
        paid,
        at,
        effects: Vec::new(),
        records: Vec::new(),
        came_back: Vec::new(),
        told_before,
        passed_on_in,
        is_torn: false,
        is_short: false,
    };
    let charge = fold.in_our_currency(charge);
    fold.passed_on(&charge);
    for refund in &charge.refunds {
        fold.refund(refund);
    }
    for dispute in &charge.disputes {
        fold.dispute(dispute);
    }
    fold.rest(&charge);
    if fold.proves_absence() {
        fold.tell_what_was_refused();
    }
    if !fold.is_torn && !fold.is_short {
        fold.set_right();
    }
    fold.finish(state)
}

impl Fold {
    /// Whether what the reading does not show has not happened: it began after whatever was refused or given up, and
    /// was not made in the middle of something.
    fn proves_absence(&self) -> bool {
        matches!(self.paid.returns.reading, Reading::UnderWay(_)) && !self.is_torn
    }

    fn refund(&mut self, now: &Refund) {
        let position = self.paid.returns.refunds.iter().position(|known| known.id == now.id);
        let known = position.map(|position| self.paid.returns.refunds[position].clone());
        if known.as_ref().is_some_and(|known| known.status == now.status) {
            return;
        }
        let was_counted = known.as_ref().is_some_and(|known| known.status.counts());
        let mut one = known.unwrap_or_else(|| self.first_seen(now));
        one.status = now.status;
        if one.posting == Posting::NotYet && now.status == RefundStatus::Succeeded {
            // What came back while it was pending is posted.
            let share = self.take(&now.id);
            self.post(ledger::refunded(&self.sale, now, share, self.at));
            one.posting = Posting::Posted;
        }
        if !now.status.counts() && one.posting != Posting::TakenBack {
            if one.posting == Posting::Posted {
                self.fails(now);
            }
            one.posting = Posting::TakenBack;
        }
        self.tell_of_refund(now, was_counted);
        match position {
            Some(position) => self.paid.returns.refunds[position] = one,
            None => self.paid.returns.refunds.push(one),
        }
    }

    fn first_seen(&mut self, now: &Refund) -> KnownRefund {
        let reserved = &mut self.paid.returns.reserved;
        let aside = reserved.iter().position(|one| Some(one.refund) == now.asked);
        let aside = aside.map(|position| reserved.remove(position));
        KnownRefund {
            id: now.id.clone(),
            asked: now.asked,
            amount: now.amount,
            status: now.status,
            transfer: aside.as_ref().map_or(TransferReturn::Returned, |one| one.transfer),
            posting: Posting::NotYet,
            access: aside.map_or(AccessAfter::Kept, |one| one.access),
        }
    }

    /// The buyer does not get it after all.
    fn fails(&mut self, now: &Refund) {
        self.post(ledger::refund_failed(&self.sale, now));
        let amount = Money::new(now.amount, self.sale.currency);
        self.case(CaseKind::RefundFailed, &now.id, format!(
            "a refund of {amount} failed after it had succeeded: the buyer has not got it; refund it another way, \
             or leave it"
        ));
    }

    /// Whoever asked hears it. A refund that was made at Stripe has nobody who asked, and gets its row here.
    fn tell_of_refund(&mut self, now: &Refund, was_counted: bool) {
        if let Some(asked) = now.asked {
            let message = Message::Refund(asked, refund::Event::Reported(now.clone()));
            self.records.push(Record::Send(message));
            return;
        }
        let refund = RefundId::of(self.sale.checkout, &now.id);
        let row = RefundUpdate {
            refund,
            sale: self.sale.clone(),
            status: match now.status {
                RefundStatus::Pending => record::RefundStatus::Pending,
                RefundStatus::Succeeded => record::RefundStatus::Succeeded,
                RefundStatus::Failed => record::RefundStatus::Failed,
                RefundStatus::Canceled => record::RefundStatus::Canceled,
            },
            amount: Some(Money::new(now.amount, self.sale.currency)),
            reason: RefundReason::MadeAtStripe,
            by: None,
            stripe_refund: Some(now.id.clone()),
            failure: now.reason.clone().filter(|_| now.status != RefundStatus::Succeeded),
        };
        self.records.push(Record::Refund(Box::new(row)));
        match (was_counted, now.status.counts()) {
            (false, true) if self.told_before => {}
            (false, true) => self.effects.push(Effect::SendMail(Mail::Refunded(refund))),
            (true, false) => self.effects.push(Effect::SendMail(Mail::RefundFailed(refund))),
            (true, true) | (false, false) => {}
        }
    }

    fn dispute(&mut self, now: &Dispute) {
        let disputes = &mut self.paid.returns.disputes;
        let one = KnownDispute {
            id: now.id.clone(),
            withdrawn: now.withdrawn,
            reinstated: now.reinstated,
            status: now.status,
        };
        match disputes.iter_mut().find(|known| known.id == now.id) {
            Some(known) if *known == one => return,
            Some(known) => *known = one,
            None => disputes.push(one),
        }
        let id = DisputeId::of(self.sale.checkout, &now.id);
        let (sale, facts) = (Box::new(self.sale.clone()), now.clone());
        let message = Message::Dispute(id, crate::dispute::Event::Reported { sale, facts });
        self.records.push(Record::Send(message));
    }

    pub(super) fn post(&mut self, posting: ledger::Transaction) {
        self.records.push(Record::Ledger(posting));
    }

    pub(super) fn case(&mut self, kind: CaseKind, key: &str, detail: String) {
        self.records.push(Record::OperatorCase(OperatorCase { kind, key: key.to_owned(), detail }));
    }

    fn finish(mut self, state: &State) -> Step<State> {
        // What was given up is free once it is shown not to have been made.
        if self.proves_absence() {
            self.paid.returns.reserved.retain(|one| one.need == Need::Needed);
        }
        let again = end_reading(&mut self.paid, self.at);
        self.effects.extend(again);
        let later = match (self.is_torn, self.is_short) {
            (true, _) => Some(LOOK_SOON),
            (false, true) => Some(LOOK_WHEN_THERE_IS_MONEY),
            (false, false) => None,
        };
        if let (Some(later), Reading::Idle) = (later, self.paid.returns.reading) {
            self.paid.returns.look_at = Some(self.at.plus(later));
        }
        self.change_access();
        let wake_at = self.paid.returns.next_look();
        let (next, status) = placed(state, self.paid.clone());
        let next_name: &'static str = next.clone().into();
        let name: &'static str = state.clone().into();
        if next_name != name {
            self.records.push(Record::Checkout(row(&self.paid, status)));
            if matches!(next, State::Quarantined { .. })
                && matches!(state, State::RefundingDuplicate { .. } | State::Refunded { .. })
            {
                let intent = self.paid.payment.intent.clone();
                let why = reason(&self.paid).unwrap_or("duplicate");
                self.case(
                    CaseKind::DuplicateNotRefunded,
                    &intent,
                    format!(
                        "a payment that must be given back ({why}) could not be: refund it by hand"
                    ),
                );
            }
        }
        Step { state: next, effects: self.effects, records: self.records, wake_at }
    }

    fn change_access(&mut self) {
        let now =
            match (self.paid.returns.access, self.paid.returns.grounds(self.paid.payment.amount)) {
                (Access::Never, _) => return,
                (_, GrantKind::Paid | GrantKind::Free) => Access::Given,
                (_, grounds) => Access::Ended(grounds),
            };
        if now == self.paid.returns.access {
            return;
        }
        self.paid.returns.access = now;
        self.records.push(Record::Access(AccessUpdate {
            page: self.sale.page,
            visitor: self.paid.order.visitor,
            checkout: self.sale.checkout,
            kind: match now {
                Access::Ended(kind) => kind,
                Access::Given | Access::Never => GrantKind::Paid,
            },
        }));
    }
}
