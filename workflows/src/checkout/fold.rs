//! What a reading of Stripe leads to: whatever has come back since the last one is posted, each once, and the
//! access and the state follow from all of it. Readings may skip what happened between them; what they show
//! is where money has gone.

use super::{
    State,
    paid::{Paid, end_reading, placed, row},
    returns::{Access, KnownDispute, KnownRefund, Need, Posting, Reversal},
};
use crate::{
    effect::{Effect, FeeReturn, Mail},
    id::{DisputeId, RefundId},
    ledger::{self, Sale, Share},
    message::Message,
    money::{Money, part_of},
    reading::Reading,
    record::{
        self, AccessUpdate, CaseKind, GrantKind, OperatorCase, Record, RefundReason, RefundUpdate,
    },
    refund::{self, AccessAfter},
    stripe::{Charge, Dispute, DisputeStatus, Refund, RefundStatus, TransferPart},
    timestamp::Timestamp,
    workflow::Step,
};

/// A reading being worked in.
struct Fold {
    sale: Sale,
    paid: Paid,
    at: Timestamp,
    effects: Vec<Effect>,
    records: Vec<Record>,
    /// What came back of transfer and fee, and is not posted yet.
    left: Share,
    /// Minor units of fee for each that came back of the transfer: `fee` of `reversed`.
    rate: Share,
}

/// Works a reading in.
pub(super) fn fold(state: &State, paid: Paid, charge: &Charge, at: Timestamp) -> Step<State> {
    let before = paid.returns.clone();
    let sale = paid.order.sale.paid_in(paid.payment.currency);
    let total = Share {
        reversed: charge.transfer.as_ref().map_or(0, |transfer| transfer.reversed),
        fee: charge.fee_returned,
    };
    let left = Share {
        reversed: (total.reversed - before.posted.reversed).max(0),
        fee: (total.fee - before.posted.fee).max(0),
    };
    let mut fold =
        Fold { sale, paid, at, effects: Vec::new(), records: Vec::new(), left, rate: left };
    for refund in &charge.refunds {
        fold.refund(refund, charge);
    }
    for dispute in &charge.disputes {
        fold.dispute(dispute, charge);
    }
    fold.rest(charge);
    fold.compare_fee(total, charge);
    fold.finish(state)
}

impl Fold {
    /// Takes what came back with something of so much out of what is left. Over all that came back the parts
    /// of the fee add up to the whole.
    fn take(&mut self, wanted: i64) -> Share {
        let reversed = wanted.clamp(0, self.left.reversed);
        let rest = self.left.reversed - reversed;
        let fee = self.left.fee - part_of(self.rate.fee, rest, self.rate.reversed);
        let share = Share { reversed, fee: if reversed == 0 { 0 } else { fee } };
        self.left.reversed -= share.reversed;
        self.left.fee -= share.fee;
        share
    }

    fn refund(&mut self, now: &Refund, charge: &Charge) {
        let position = self.paid.returns.refunds.iter().position(|known| known.id == now.id);
        let known = position.map(|position| self.paid.returns.refunds[position].clone());
        if known.as_ref().is_some_and(|known| known.status == now.status) {
            return;
        }
        let is_new = known.is_none();
        let mut one = known.unwrap_or_else(|| self.first_seen(now));
        let was_counted = !is_new && one.status.counts();
        one.status = now.status;
        match (one.posting, now.status) {
            (Posting::NotYet, RefundStatus::Succeeded) => {
                // What came back while it was pending is posted.
                let share = if is_new { one.share } else { Share::default() };
                self.post(ledger::refunded(&self.sale, now, share, self.at), share);
                one.posting = Posting::Posted;
            }
            (Posting::NotYet, _) if is_new => self.reversed(one.share, charge),
            _ => {}
        }
        if !now.status.counts() && one.posting != Posting::TakenBack {
            self.fails(&one, now);
            one.posting = Posting::TakenBack;
        }
        self.tell_of_refund(now, was_counted);
        match position {
            Some(position) => self.paid.returns.refunds[position] = one,
            None => self.paid.returns.refunds.push(one),
        }
    }

    fn first_seen(&mut self, now: &Refund) -> KnownRefund {
        let wanted = match now.transfer {
            TransferPart::Reversed => now.amount,
            TransferPart::Kept => 0,
        };
        let reserved = &mut self.paid.returns.reserved;
        let aside = reserved.iter().position(|one| Some(one.refund) == now.asked);
        let aside = aside.map(|position| reserved.remove(position));
        KnownRefund {
            id: now.id.clone(),
            asked: now.asked,
            amount: now.amount,
            status: now.status,
            share: self.take(wanted),
            posting: Posting::NotYet,
            access: aside.map_or(AccessAfter::Kept, |one| one.access),
        }
    }

    /// The buyer does not get it after all: what was taken for it goes back to where it came from.
    fn fails(&mut self, one: &KnownRefund, now: &Refund) {
        match one.posting {
            Posting::Posted => {
                let posting = ledger::refund_failed(&self.sale, now, one.share);
                self.records.push(Record::Ledger(posting));
                self.case(CaseKind::RefundFailed, &now.id, format!(
                    "a refund of {} failed after it had succeeded: the buyer has not got it; refund it another \
                     way, or leave it",
                    Money::new(now.amount, self.sale.currency)
                ));
            }
            Posting::NotYet if one.share.fee > 0 => {
                let posting = ledger::fee_taken_again(&self.sale, &now.id, one.share.fee);
                self.records.push(Record::Ledger(posting));
            }
            Posting::NotYet | Posting::TakenBack => {}
        }
        self.pass_on_again(&now.id, one.share);
    }

    fn pass_on_again(&mut self, cause: &str, share: Share) {
        if share.of_creator() <= 0 {
            return;
        }
        self.effects.push(Effect::CreateTransfer {
            account: self.sale.account.clone(),
            amount: Money::new(share.of_creator(), self.sale.currency),
            cause: cause.to_owned(),
            checkout: self.sale.checkout,
        });
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
            (false, true) => self.effects.push(Effect::SendMail(Mail::Refunded(refund))),
            (true, false) => self.effects.push(Effect::SendMail(Mail::RefundFailed(refund))),
            (true, true) | (false, false) => {}
        }
    }

    fn dispute(&mut self, now: &Dispute, charge: &Charge) {
        let position = self.paid.returns.disputes.iter().position(|known| known.id == now.id);
        let known = position.map(|position| self.paid.returns.disputes[position].clone());
        let mut one = known.clone().unwrap_or_else(|| KnownDispute {
            id: now.id.clone(),
            withdrawn: 0,
            reinstated: 0,
            status: now.status,
            reversal: Reversal::NotAsked,
            share: Share::default(),
        });
        (one.status, one.withdrawn, one.reinstated) = (now.status, now.withdrawn, now.reinstated);
        if let (Reversal::Asked(asked), 0) = (one.reversal, one.share.reversed)
            && self.left.reversed >= asked
        {
            one.share = self.take(asked);
            self.reversed(one.share, charge);
        }
        // What is won is on its way back to the platform: the creator keeps it.
        let is_won = matches!(one.status, DisputeStatus::Won | DisputeStatus::Closed);
        if one.reversal == Reversal::NotAsked && one.withdrawn > one.reinstated && !is_won {
            self.take_back(&mut one, charge);
        }
        if one.status == DisputeStatus::Won
            && matches!(one.reversal, Reversal::Asked(_))
            && one.share.reversed > 0
        {
            if one.share.fee > 0 {
                let posting = ledger::fee_taken_again(&self.sale, &one.id, one.share.fee);
                self.records.push(Record::Ledger(posting));
            }
            self.pass_on_again(&one.id, one.share);
            one.reversal = Reversal::PassedOnAgain;
        }
        if known.as_ref().is_none_or(|known| {
            (known.status, known.withdrawn, known.reinstated)
                != (one.status, one.withdrawn, one.reinstated)
        }) {
            let id = DisputeId::of(self.sale.checkout, &now.id);
            let (sale, facts) = (Box::new(self.sale.clone()), now.clone());
            let message = Message::Dispute(id, crate::dispute::Event::Reported { sale, facts });
            self.records.push(Record::Send(message));
        }
        match position {
            Some(position) => self.paid.returns.disputes[position] = one,
            None => self.paid.returns.disputes.push(one),
        }
    }

    /// The bank took it from the platform: the creator's part is taken from the creator, once.
    fn take_back(&mut self, one: &mut KnownDispute, charge: &Charge) {
        let Some(transfer) = &charge.transfer else { return };
        let waiting = |one: &KnownDispute| match (one.reversal, one.share.reversed) {
            (Reversal::Asked(amount), 0) => amount,
            _ => 0,
        };
        let asked: i64 = self.paid.returns.disputes.iter().map(waiting).sum();
        let amount = one.withdrawn.min(transfer.amount - transfer.reversed - asked);
        if amount <= 0 {
            return;
        }
        one.reversal = Reversal::Asked(amount);
        self.effects.push(Effect::ReverseTransfer {
            transfer: transfer.id.clone(),
            amount,
            fee: if self.sale.fee > 0 { FeeReturn::Returned } else { FeeReturn::NoFee },
            dispute: one.id.clone(),
        });
    }

    /// What came back for nothing that is known: by hand.
    fn rest(&mut self, charge: &Charge) {
        let rest = self.left;
        self.left = Share::default();
        self.reversed(rest, charge);
    }

    /// Posts what came back of the transfer by itself.
    fn reversed(&mut self, share: Share, charge: &Charge) {
        if share == Share::default() {
            return;
        }
        let posted = self.paid.returns.posted;
        let total =
            Share { reversed: posted.reversed + share.reversed, fee: posted.fee + share.fee };
        let transfer = charge.transfer.as_ref().map_or(charge.id.as_str(), |one| one.id.as_str());
        let posting = ledger::reversed(&self.sale, transfer, total, share, self.at);
        self.post(posting, share);
    }

    fn post(&mut self, posting: ledger::Transaction, share: Share) {
        self.records.push(Record::Ledger(posting));
        self.paid.returns.posted.reversed += share.reversed;
        self.paid.returns.posted.fee += share.fee;
    }

    fn case(&mut self, kind: CaseKind, key: &str, detail: String) {
        self.records.push(Record::OperatorCase(OperatorCase { kind, key: key.to_owned(), detail }));
    }

    /// The fee comes back in the proportion of the transfer, but for a unit of rounding with each part.
    fn compare_fee(&mut self, total: Share, charge: &Charge) {
        let Some(transfer) = &charge.transfer else { return };
        if self.rate == Share::default() {
            return;
        }
        let computed = part_of(self.sale.fee, total.reversed, transfer.amount);
        let parts = self.paid.returns.refunds.len() + self.paid.returns.disputes.len();
        let tolerated = i64::try_from(parts.max(1)).unwrap_or(i64::MAX);
        if (computed - total.fee).abs() > tolerated {
            self.case(CaseKind::FeeShareDiffers, &charge.id, format!(
                "of the fee {} came back where {} would be in proportion to the transfer: see whether somebody \
                 gave back the one without the other",
                Money::new(total.fee, self.sale.currency),
                Money::new(computed, self.sale.currency)
            ));
        }
    }

    fn finish(mut self, state: &State) -> Step<State> {
        // What was given up is free once a reading that began after that has not shown it.
        if matches!(self.paid.returns.reading, Reading::UnderWay(_)) {
            self.paid.returns.reserved.retain(|one| one.need == Need::Needed);
        }
        let again = end_reading(&mut self.paid, self.at);
        self.effects.extend(again);
        self.change_access();
        let wake_at = self.paid.returns.look_at;
        let (next, status) = placed(state, self.paid.clone());
        let next_name: &'static str = next.clone().into();
        let name: &'static str = state.clone().into();
        if next_name != name {
            self.records.push(Record::Checkout(row(&self.paid, status)));
            if matches!(next, State::Quarantined { .. })
                && matches!(state, State::RefundingDuplicate { .. } | State::Refunded { .. })
            {
                let intent = self.paid.payment.intent.clone();
                self.case(CaseKind::DuplicateNotRefunded, &intent, "a payment that must be given back, for \
                    the same page was paid twice or another amount was agreed, could not be: refund it by hand".to_owned());
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
