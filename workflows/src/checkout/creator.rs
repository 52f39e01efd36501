//! The creator's part: what was passed on, what came back of it and for what, and what Stripe is asked for to set
//! it right.
//!
//! A refund takes it back from the charge's transfer by itself, as far as that reaches. Whatever is taken back
//! for a refund that fails or a dispute that is won is passed on again, by a transfer of its own, from which it
//! may have to be taken back once more. The platform's fee follows: in proportion to all that came back of the
//! charge's transfer, as Stripe computes it, and as a part of what was passed on later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    effect::Failure,
    ledger::Share,
    money::part_of,
    stripe::{self, TransferReversal},
};

/// Stripe's code where a balance has not the money for a transfer, or not yet.
/// <https://docs.stripe.com/error-codes#balance-insufficient>
const BALANCE_INSUFFICIENT: &str = "balance_insufficient";

/// What was passed on to the creator of a payment, and what came back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Creator {
    /// The charge's transfer; none, before it was read.
    pub with_charge: Option<PassedOn>,
    /// What was passed on again.
    pub again: Vec<PassedOn>,
    /// What the creator has lost now, for each refund (`re_…`) and dispute (`dp_…`).
    pub lost: BTreeMap<String, Share>,
    /// What Stripe was asked for, and is not seen there yet.
    pub asked: Vec<Asked>,
    /// Minor units of the platform's fee that are posted to have gone back.
    pub fee_returned: i64,
}

/// A transfer to the creator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PassedOn {
    /// `tr_…`
    pub id: String,
    /// What the buyer paid of it, and the platform's fee of that.
    pub whole: Share,
    /// What came back of both.
    pub back: Share,
    /// `trr_…`: the reversals that are posted.
    pub reversals: Vec<String>,
}

/// What Stripe was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Asked {
    /// `re_…` or `dp_…`: why.
    pub cause: String,
    /// What.
    pub call: Call,
    /// Of how much.
    pub share: Share,
    /// What became of it.
    pub answer: Answered,
}

/// A call that moves the creator's part.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Take it back from a transfer (`tr_…`).
    TakeBack(String),
    /// Pass it on again.
    PassOn,
}

/// What became of a call, as long as nothing of it is seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// Nothing yet.
    NotYet,
    /// Stripe would not, or a person discarded it: unless the next reading shows it all the same, a person is told.
    Refused(Failure),
    /// A person was told.
    Told,
}

/// A part to be taken back from one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// `tr_…`; none for the charge's, before that was read.
    pub transfer: Option<String>,
    /// What the buyer gets, and the fee of it.
    pub share: Share,
}

impl PassedOn {
    /// Of which nothing has come back.
    pub(super) fn of(id: &str, whole: Share) -> Self {
        Self { id: id.to_owned(), whole, back: Share::default(), reversals: Vec::new() }
    }

    fn left(&self) -> i64 {
        self.whole.reversed - self.back.reversed
    }
}

impl Creator {
    /// Whether something is to happen at Stripe.
    pub(super) fn is_under_way(&self) -> bool {
        self.asked.iter().any(|one| one.answer != Answered::Told)
    }

    /// Minor units that can come back of the charge's transfer: of all that was paid, as long as nothing is known.
    pub(super) fn left_with_charge(&self, paid: i64) -> i64 {
        match &self.with_charge {
            Some(own) => own.left() - self.asked_of(&own.id).reversed,
            None => paid,
        }
    }

    /// What is being taken back from a transfer.
    fn asked_of(&self, transfer: &str) -> Share {
        let of_it = self.asked.iter().filter(|one| {
            one.answer != Answered::Told
                && matches!(&one.call, Call::TakeBack(of) if of == transfer)
        });
        of_it.fold(Share::default(), |sum, one| sum.plus(one.share))
    }

    /// What the creator has lost for a refund or a dispute.
    pub(super) fn lost_for(&self, cause: &str) -> Share {
        self.lost.get(cause).copied().unwrap_or_default()
    }

    /// Whether something that was asked for a refund or a dispute is not seen yet.
    pub(super) fn is_under_way_for(&self, cause: &str) -> bool {
        self.asked.iter().any(|one| one.cause == cause && one.answer != Answered::Told)
    }

    /// Whether such a call was refused for a refund or a dispute: then a person decides, and it is not asked again.
    pub(super) fn is_refused_for(&self, cause: &str, of_kind: fn(&Call) -> bool) -> bool {
        self.asked.iter().any(|one| one.cause == cause && of_kind(&one.call))
    }

    /// From which transfers an amount is taken back: from the charge's first, but for what is kept for others there,
    /// and then from what was passed on later. Less, if less is left. `whole` is what was paid, with the platform's
    /// fee.
    pub(super) fn parts_of(&self, whole: Share, amount: i64, kept: i64) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut missing = amount;
        let own = missing.min(self.left_with_charge(whole.reversed) - kept);
        if own > 0 {
            missing -= own;
            let transfer = self.with_charge.as_ref().map(|own| own.id.clone());
            let share = Share { reversed: own, fee: self.fee_with_charge(whole, own) };
            parts.push(Part { transfer, share });
        }
        for one in &self.again {
            let before = one.back.plus(self.asked_of(&one.id));
            let part = missing.min(one.whole.reversed - before.reversed).max(0);
            let fee = part_of(one.whole.fee, before.reversed + part, one.whole.reversed);
            let fee = (fee - before.fee).clamp(0, part);
            // Somebody may have taken some of it back by hand.
            let creators = (part - fee).min(one.whole.of_creator() - before.of_creator());
            if creators > 0 {
                missing -= creators + fee;
                let share = Share { reversed: creators + fee, fee };
                parts.push(Part { transfer: Some(one.id.clone()), share });
            }
        }
        parts
    }

    /// What Stripe gives back of the fee with a part of the charge's transfer: in proportion to all that came back
    /// of it, rounded as a whole.
    fn fee_with_charge(&self, whole: Share, part: i64) -> i64 {
        let before = self.with_charge.as_ref().map_or(0, |own| own.back.reversed);
        let fee = part_of(whole.fee, before + part, whole.reversed);
        (fee - self.fee_returned).clamp(0, part)
    }

    /// A call was refused, or discarded.
    pub(super) fn refused(&mut self, cause: &str, call: &Call, failure: &Failure) {
        let asked = self
            .asked
            .iter_mut()
            .find(|one| one.cause == cause && one.call == *call && one.answer == Answered::NotYet);
        if let Some(asked) = asked {
            asked.answer = Answered::Refused(failure.clone());
        }
    }

    /// Forgets calls that were refused and may be made once more: what is to be taken back of a transfer of which
    /// less was left is found out anew, and what the platform had not the money for is tried later. Says whether
    /// there was one of the latter.
    pub(super) fn drop_what_may_pass(&mut self) -> bool {
        let before = self.asked.len();
        let is_short = |one: &Asked| {
            let of_money = |failure: &Failure| failure.code == BALANCE_INSUFFICIENT;
            one.call == Call::PassOn
                && matches!(&one.answer, Answered::Refused(failure) if of_money(failure))
        };
        self.asked.retain(|one| !is_short(one));
        let is_passing = self.asked.len() < before;
        let transfers: Vec<_> = self.with_charge.iter().chain(&self.again).cloned().collect();
        self.asked.retain(|one| {
            let Call::TakeBack(of) = &one.call else { return true };
            let left = transfers.iter().find(|transfer| transfer.id == *of);
            let refused = matches!(one.answer, Answered::Refused(_));
            !refused || left.is_none_or(|transfer| transfer.left() >= one.share.reversed)
        });
        is_passing
    }

    /// Reversals that are not posted yet, each with its transfer.
    pub(super) fn unposted<'a>(
        &self,
        charge: &'a stripe::Charge,
    ) -> Vec<(&'a stripe::Transfer, &'a TransferReversal)> {
        let posted = |id: &String| {
            let all = self.with_charge.iter().chain(&self.again);
            all.flat_map(|one| &one.reversals).any(|known| known == id)
        };
        let transfers = charge.transfer.iter().chain(&charge.again);
        let reversals = transfers.flat_map(|one| one.reversals.iter().map(move |back| (one, back)));
        reversals.filter(|(_, back)| !posted(&back.id)).collect()
    }

    /// The call that a reversal or a transfer was made by, which is thereby over.
    pub(super) fn seen(&mut self, cause: Option<&str>, call: &Call) -> Option<Asked> {
        let by_it = |one: &Asked| Some(one.cause.as_str()) == cause && one.call == *call;
        let position = self.asked.iter().position(by_it)?;
        Some(self.asked.remove(position))
    }

    /// The call that was refused, and that a person has made up for by hand.
    pub(super) fn made_up_for(&mut self, amount: i64) -> Option<Asked> {
        let by_it = |one: &Asked| {
            one.call == Call::PassOn
                && one.answer != Answered::NotYet
                && one.share.of_creator() == amount
        };
        let position = self.asked.iter().position(by_it)?;
        Some(self.asked.remove(position))
    }

    /// Something came back of a transfer, for a refund or a dispute or for nothing that is known.
    pub(super) fn came_back(&mut self, transfer: &str, reversal: &TransferReversal, share: Share) {
        let all = self.with_charge.iter_mut().chain(&mut self.again);
        if let Some(one) = all.into_iter().find(|one| one.id == transfer) {
            one.back = one.back.plus(share);
            one.reversals.push(reversal.id.clone());
        }
        if let Some(cause) = &reversal.cause {
            let lost = self.lost.entry(cause.clone()).or_default();
            *lost = lost.plus(share);
        }
    }
}
