//! What a reading shows of the creator's part, and what is asked of Stripe to set it right: taken back for what a
//! buyer or a bank has, and passed on again where that came to nothing.

use super::{
    creator::{Answered, Asked, Call, Part, PassedOn},
    fold::{CameBack, Fold},
};
use crate::{
    effect::{Effect, FeeReturn},
    ledger::{self, Share},
    money::{Currency, Money, part_of},
    record::{CaseKind, Record},
    stripe::{Charge, Transfer, transfer_group},
};

impl Fold {
    /// The reading in the currency that the buyer paid in. The platform's balance may be in another one: what came
    /// back of the charge's transfer is then the same part of what was paid, and nothing more can be asked for
    /// here; what a bank took is not known in ours, and for a person.
    pub(super) fn in_our_currency(&mut self, charge: &Charge) -> Charge {
        let (ours, paid) = (self.sale.currency, self.paid.payment.amount);
        let mut charge = charge.clone();
        for dispute in charge.disputes.iter_mut().filter(|one| one.currency != ours) {
            if dispute.withdrawn != 0 || dispute.reinstated != 0 {
                self.tell_of_another_currency(&dispute.id, dispute.currency);
            }
            (dispute.withdrawn, dispute.reinstated) = (0, 0);
            (dispute.fee, dispute.fee_reinstated) = (0, 0);
        }
        for transfer in charge.again.extract_if(.., |one| one.currency != ours) {
            self.tell_of_another_currency(&transfer.id, transfer.currency);
        }
        if let Some(own) = charge.transfer.as_mut().filter(|own| own.currency != ours) {
            let (mut so_far, mut before) = (0, 0);
            for reversal in &mut own.reversals {
                so_far += reversal.amount;
                let now = part_of(paid, so_far.min(own.amount), own.amount);
                reversal.amount = now - before;
                before = now;
            }
            self.passed_on_in = own.currency;
            own.amount = paid;
        }
        charge
    }

    fn tell_of_another_currency(&mut self, object: &str, currency: Currency) {
        let ours = self.sale.currency;
        let detail = format!(
            "money of a payment in {ours} moved in {currency}, at a rate that is not known here: it is not in the \
             ledger, and the creator's part follows it only by hand"
        );
        self.case(CaseKind::ReturnsCurrency, object, detail);
    }

    /// Takes note of transfers, and of what came back of them.
    pub(super) fn passed_on(&mut self, charge: &Charge) {
        let fee = self.sale.fee;
        if let Some(own) = &charge.transfer
            && self.paid.returns.creator.with_charge.is_none()
        {
            let whole = Share { reversed: own.amount, fee };
            self.paid.returns.creator.with_charge = Some(PassedOn::of(&own.id, whole));
            self.records.push(Record::StripeObject(own.id.clone()));
        }
        for transfer in &charge.again {
            if !self.paid.returns.creator.again.iter().any(|known| known.id == transfer.id) {
                self.passed_on_again(transfer);
            }
        }
        self.read_reversals(charge);
    }

    fn passed_on_again(&mut self, now: &Transfer) {
        let creator = &mut self.paid.returns.creator;
        let asked = match &now.cause {
            Some(cause) => creator.seen(Some(cause), &Call::PassOn),
            None => creator.made_up_for(now.amount),
        };
        let by_hand = Share { reversed: now.amount, fee: 0 };
        let whole = asked.as_ref().map_or(by_hand, |asked| asked.share);
        if let Some(cause) = asked.map(|asked| asked.cause).or_else(|| now.cause.clone()) {
            let lost = creator.lost.entry(cause).or_default();
            *lost = lost.minus(whole);
        }
        creator.again.push(PassedOn::of(&now.id, whole));
        self.records.push(Record::StripeObject(now.id.clone()));
        self.post(ledger::transferred_again(&self.sale, &now.id, now.amount, self.at));
        if whole.fee > 0 {
            self.post(ledger::fee_taken_again(&self.sale, &now.id, whole.fee));
        }
    }

    /// What Stripe gave back of the fee belongs to what came back of the charge's transfer, in proportion.
    fn read_reversals(&mut self, charge: &Charge) {
        let own = charge.transfer.as_ref().map(|own| own.id.as_str());
        let creator = &mut self.paid.returns.creator;
        let unposted = creator.unposted(charge);
        let with_charge = unposted.iter().filter(|(transfer, _)| Some(transfer.id.as_str()) == own);
        let all: i64 = with_charge.map(|(_, reversal)| reversal.amount).sum();
        let fee = (charge.fee_returned - creator.fee_returned).max(0);
        let mut so_far = 0;
        let mut came_back = Vec::new();
        for (transfer, reversal) in unposted {
            let cause = reversal.cause.as_deref();
            let is_own = Some(transfer.id.as_str()) == own;
            let before = part_of(fee, so_far, all);
            so_far += if is_own { reversal.amount } else { 0 };
            let refunds = charge.refunds.iter().map(|refund| refund.id.as_str());
            let disputes = charge.disputes.iter().map(|dispute| dispute.id.as_str());
            // Made after the refunds were listed: the next reading shows both.
            if cause.is_some_and(|cause| !refunds.chain(disputes).any(|id| id == cause)) {
                self.is_torn = true;
                continue;
            }
            let asked = creator.seen(cause, &Call::TakeBack(transfer.id.clone()));
            let asked = asked.map(|asked| asked.share);
            let share = match asked {
                _ if is_own => {
                    let fee = part_of(fee, so_far, all) - before;
                    Share { reversed: reversal.amount, fee }
                }
                Some(share) if share.of_creator() == reversal.amount => share,
                Some(_) | None => Share { reversed: reversal.amount, fee: 0 },
            };
            creator.fee_returned += if is_own { share.fee } else { 0 };
            creator.came_back(&transfer.id, reversal, share);
            came_back.push(CameBack {
                transfer: transfer.id.clone(),
                reversal: reversal.clone(),
                share,
                fee_given_up: if is_own { 0 } else { share.fee },
                with_refund: is_own && asked.is_none(),
            });
        }
        self.came_back = came_back;
    }

    /// What came back of the charge's transfer with a refund, to be posted with it.
    pub(super) fn take(&mut self, refund: &str) -> Share {
        let with_it =
            |one: &mut CameBack| one.with_refund && one.reversal.cause.as_deref() == Some(refund);
        let with_it: Vec<_> = self.came_back.extract_if(.., with_it).collect();
        with_it.iter().fold(Share::default(), |sum, one| sum.plus(one.share))
    }

    /// Posts what came back by itself.
    pub(super) fn rest(&mut self, charge: &Charge) {
        let rest = std::mem::take(&mut self.came_back);
        let moved = self.records.len();
        for one in &rest {
            let CameBack { transfer, reversal, share, fee_given_up, .. } = one;
            // No money of the fee moves where it had been taken again.
            let share =
                Share { reversed: share.reversed - fee_given_up, fee: share.fee - fee_given_up };
            self.post(ledger::reversed(&self.sale, transfer, &reversal.id, share, self.at));
            if *fee_given_up > 0 {
                self.post(ledger::fee_given_up(&self.sale, &reversal.id, *fee_given_up));
            }
        }
        let creator = &mut self.paid.returns.creator;
        let fee = charge.fee_returned - creator.fee_returned;
        if fee > 0 && !self.is_torn && creator.with_charge.is_some() {
            creator.fee_returned += fee;
            let total = creator.fee_returned;
            self.post(ledger::fee_returned(&self.sale, &charge.id, total, fee, self.at));
        }
        if self.records.len() > moved || !charge.refunds.is_empty() {
            self.compare_fee(charge);
        }
    }

    /// The fee comes back in the proportion of the transfer, but for a unit of rounding with each part.
    fn compare_fee(&mut self, charge: &Charge) {
        let creator = &self.paid.returns.creator;
        let Some(own) = creator.with_charge.as_ref().filter(|_| !self.is_torn) else { return };
        let computed = part_of(self.sale.fee, own.back.reversed, own.whole.reversed);
        let tolerated = i64::try_from(own.reversals.len().max(1)).unwrap_or(i64::MAX);
        let returned = creator.fee_returned;
        if (computed - returned).abs() > tolerated {
            let currency = self.sale.currency;
            self.case(CaseKind::FeeShareDiffers, &charge.id, format!(
                "of the fee {} came back where {} would be in proportion to the transfer: see whether somebody gave \
                 back the one without the other",
                Money::new(returned, currency),
                Money::new(computed, currency)
            ));
        }
    }

    /// Asks Stripe for what the creator is to lose, or to have again, for each refund and dispute.
    pub(super) fn set_right(&mut self) {
        let returns = &self.paid.returns;
        let refunds = returns.refunds.iter().map(|one| one.id.clone());
        let causes: Vec<_> =
            refunds.chain(returns.disputes.iter().map(|one| one.id.clone())).collect();
        for cause in causes {
            let returns = &self.paid.returns;
            let creator = &returns.creator;
            if creator.is_under_way_for(&cause) {
                continue;
            }
            let lost = creator.lost_for(&cause);
            if self.passed_on_in != self.sale.currency {
                if returns.to_lose(&cause).is_some_and(|wanted| wanted != lost.reversed) {
                    self.tell_of_another_currency(&cause, self.passed_on_in);
                }
                continue;
            }
            match returns.to_lose(&cause) {
                Some(wanted) if wanted < lost.reversed => {
                    if !creator.is_refused_for(&cause, |call| *call == Call::PassOn) {
                        let back = lost.reversed - wanted;
                        let fee = part_of(lost.fee, back, lost.reversed);
                        self.pass_on_again(&cause, Share { reversed: back, fee });
                    }
                }
                Some(wanted) if !creator.is_refused_for(&cause, |call| *call != Call::PassOn) => {
                    self.take_back(&cause, wanted - lost.reversed);
                }
                Some(_) | None => {}
            }
        }
    }

    /// What was taken for nothing goes to the creator again, without the platform's fee.
    fn pass_on_again(&mut self, cause: &str, share: Share) {
        if share.of_creator() <= 0 {
            return;
        }
        self.effects.push(Effect::CreateTransfer {
            account: self.sale.account.clone(),
            amount: Money::new(share.of_creator(), self.sale.currency),
            cause: cause.to_owned(),
            checkout: self.sale.checkout,
            group: transfer_group(&self.paid.payment.intent),
        });
        self.ask(cause, Call::PassOn, share);
    }

    /// The creator's part is taken from the creator, as far as it reaches.
    fn take_back(&mut self, cause: &str, amount: i64) {
        let returns = &self.paid.returns;
        let whole = Share { reversed: self.paid.payment.amount, fee: self.sale.fee };
        // While a dispute is open nothing is refunded: what was set aside before will be refused.
        let is_disputed = returns.disputes.iter().any(|one| one.id == cause);
        let kept = if is_disputed { 0 } else { returns.to_come_back() };
        let parts = returns.creator.parts_of(whole, amount, kept);
        let own = returns.creator.with_charge.as_ref().map(|own| own.id.clone());
        let fee_is_left = returns.creator.fee_returned < self.sale.fee;
        for Part { transfer, share } in parts {
            let Some(transfer) = transfer else { continue };
            let is_own = Some(&transfer) == own.as_ref();
            self.effects.push(Effect::ReverseTransfer {
                transfer: transfer.clone(),
                amount: if is_own { share.reversed } else { share.of_creator() },
                fee: match is_own && fee_is_left {
                    true => FeeReturn::Returned,
                    false => FeeReturn::NoFee,
                },
                cause: cause.to_owned(),
            });
            self.ask(cause, Call::TakeBack(transfer), share);
        }
    }

    fn ask(&mut self, cause: &str, call: Call, share: Share) {
        let cause = cause.to_owned();
        self.paid.returns.creator.asked.push(Asked {
            cause,
            call,
            share,
            answer: Answered::NotYet,
        });
    }

    /// A reading that began after the refusal does not show it: a person is told. But where the creator's part went
    /// meanwhile, or the platform has not the money yet, it is asked once more.
    pub(super) fn tell_what_was_refused(&mut self) {
        let creator = &mut self.paid.returns.creator;
        let passing = creator.drop_what_may_pass();
        self.is_short |= passing;
        let mut cases = Vec::new();
        let (currency, nth) = (self.sale.currency, creator.again.len() + 1);
        for asked in &mut creator.asked {
            let Answered::Refused(failure) = &asked.answer else { continue };
            let (account, why) = (&self.sale.account, &failure.message);
            let amount = Money::new(asked.share.of_creator(), currency);
            cases.push(match &asked.call {
                Call::TakeBack(from) => (CaseKind::ReversalRefused, format!("{}:{from}", asked.cause), format!(
                    "the creator's part, {amount}, cannot be taken back from {account} for {} ({why}): it stays a \
                     receivable of the creator's, if the buyer keeps the money",
                    asked.cause
                )),
                Call::PassOn => (CaseKind::TransferRefused, format!("{}:{nth}", asked.cause), format!(
                    "{amount} was taken from {account} for nothing ({}) and cannot be passed on again ({why}): \
                     transfer it by hand, with the transfer_group {}, by which it is found",
                    asked.cause,
                    transfer_group(&self.paid.payment.intent)
                )),
            });
            asked.answer = Answered::Told;
        }
        for (kind, key, detail) in cases {
            self.case(kind, &key, detail);
        }
    }
}
