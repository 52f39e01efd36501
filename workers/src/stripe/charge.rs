//! All that has come back of a payment: its charge, with its transfer, its fee, its refunds and its disputes.

use engine::Trouble;
use futures::TryStreamExt;
use stripe_core::{
    dispute::ListDispute, payment_intent::RetrievePaymentIntent, refund::ListRefund,
};
use stripe_shared::{Charge, Dispute, DisputeStatus, PaymentIntent, Transfer};
use stripe_types::Expandable;
use workflows::{
    Timestamp,
    effect::{Answer, Failure},
    money::Currency,
    stripe as facts,
};

use super::{
    StripePerformer,
    failure::{Keyed, trouble},
    refund,
    transfer::oldest_first,
};

/// What is read with a payment intent.
const EXPANDED: [&str; 3] =
    ["latest_charge", "latest_charge.transfer", "latest_charge.application_fee"];
const PAGE: i64 = 100;

impl StripePerformer {
    /// Refunds and disputes are read before what came back of transfers: whatever is unknown there was made since.
    pub(super) async fn retrieve_charge(&self, intent: &str) -> Result<Answer, Trouble> {
        let refunds = ListRefund::new().payment_intent(intent).limit(PAGE).paginate();
        let refunds: Vec<_> = refunds
            .stream(self.ready().await)
            .try_collect()
            .await
            .map_err(|error| trouble(Keyed::No, error))?;
        let disputes = ListDispute::new().payment_intent(intent).limit(PAGE).paginate();
        let disputes: Vec<_> = disputes
            .stream(self.ready().await)
            .try_collect()
            .await
            .map_err(|error| trouble(Keyed::No, error))?;
        let passed_on = self.transfers_of(&facts::transfer_group(intent)).await?;
        let payment = RetrievePaymentIntent::new(intent)
            .expand(EXPANDED.map(str::to_owned))
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::No, error))?;
        let refunds = oldest_first(refunds, |refund| refund.created);
        let disputes = oldest_first(disputes, |dispute| dispute.created);
        let charge = charge_of(&payment)?;
        let transfer = transfer(charge)?;
        let mut again = Vec::new();
        for one in passed_on.iter().filter(|one| transfer.is_none_or(|own| own.id != one.id)) {
            again.push(self.transfer_facts(one).await?);
        }
        Ok(Answer::ChargeRetrieved(Box::new(facts::Charge {
            id: charge.id.to_string(),
            currency: currency(&charge.currency, charge.id.as_str())?,
            refunds: refunds.iter().map(refund::facts).collect(),
            disputes: disputes.iter().map(dispute).collect::<Result<_, _>>()?,
            transfer: match transfer {
                Some(transfer) => Some(self.transfer_facts(transfer).await?),
                None => None,
            },
            again,
            fee_returned: fee_returned(charge)?,
        })))
    }
}

fn unreadable(what: &str, intent: &str) -> Trouble {
    Trouble::Permanent(Failure {
        code: "unreadable_payment".to_owned(),
        message: format!("{intent} has no {what}"),
    })
}

fn charge_of(payment: &PaymentIntent) -> Result<&Charge, Trouble> {
    match &payment.latest_charge {
        Some(Expandable::Object(charge)) => Ok(charge),
        Some(Expandable::Id(_)) | None => Err(unreadable("charge", payment.id.as_str())),
    }
}

fn currency(currency: &stripe_types::Currency, object: &str) -> Result<Currency, Trouble> {
    Currency::parse(&currency.to_string()).map_err(|_| unreadable("known currency", object))
}

fn transfer(charge: &Charge) -> Result<Option<&Transfer>, Trouble> {
    match &charge.transfer {
        None => Ok(None),
        Some(Expandable::Id(_)) => Err(unreadable("expanded transfer", charge.id.as_str())),
        Some(Expandable::Object(transfer)) => Ok(Some(transfer)),
    }
}

fn fee_returned(charge: &Charge) -> Result<i64, Trouble> {
    match &charge.application_fee {
        None => Ok(0),
        Some(Expandable::Id(_)) => Err(unreadable("expanded fee", charge.id.as_str())),
        Some(Expandable::Object(fee)) => Ok(fee.amount_refunded),
    }
}

/// A dispute's balance transactions show what was taken and what came back.
fn dispute(dispute: &Dispute) -> Result<facts::Dispute, Trouble> {
    let moved = &dispute.balance_transactions;
    let moved_in = moved.first().map_or(&dispute.currency, |one| &one.currency);
    let (taken, back): (Vec<_>, Vec<_>) = moved.iter().partition(|one| one.amount < 0);
    Ok(facts::Dispute {
        id: dispute.id.to_string(),
        amount: dispute.amount,
        status: status(&dispute.status),
        reason: dispute.reason.clone(),
        withdrawn: taken.iter().map(|one| -one.amount).sum(),
        fee: taken.iter().map(|one| one.fee).sum(),
        reinstated: back.iter().map(|one| one.amount).sum(),
        fee_reinstated: back.iter().map(|one| -one.fee).sum(),
        currency: currency(moved_in, dispute.id.as_str())?,
        evidence_due: dispute
            .evidence_details
            .due_by
            .filter(|due| *due > 0)
            .map(Timestamp::from_secs),
    })
}

/// A status that is newer than this release leaves the bank to decide.
fn status(status: &DisputeStatus) -> facts::DisputeStatus {
    match status {
        DisputeStatus::WarningNeedsResponse | DisputeStatus::WarningUnderReview => {
            facts::DisputeStatus::Inquiry
        }
        DisputeStatus::NeedsResponse => facts::DisputeStatus::NeedsResponse,
        DisputeStatus::Won => facts::DisputeStatus::Won,
        DisputeStatus::Lost => facts::DisputeStatus::Lost,
        DisputeStatus::WarningClosed | DisputeStatus::Prevented => facts::DisputeStatus::Closed,
        DisputeStatus::UnderReview | DisputeStatus::Unknown(_) => facts::DisputeStatus::UnderReview,
        _ => facts::DisputeStatus::UnderReview,
    }
}
