//! Refunds, with their part of transfer and fee.

use std::collections::HashMap;

use engine::{Task, Trouble};
use futures::TryStreamExt;
use stripe::StripeRequest;
use stripe_core::refund::{CreateRefund, ListRefund, RetrieveRefund};
use stripe_shared::Refund;
use stripe_types::Expandable;
use workflows::{
    effect::{Answer, FeeReturn, TransferReturn},
    id::{CheckoutId, RefundId},
    stripe as facts,
    stripe_event::{CHECKOUT, EFFECT, REFUND},
};

use super::{
    StripePerformer,
    failure::{Keyed, trouble},
    keyed,
};

/// What a refund is asked for.
pub(super) struct Wanted<'a> {
    pub payment_intent: &'a str,
    pub amount: i64,
    pub fee: FeeReturn,
    pub transfer: TransferReturn,
    pub asked: Option<RefundId>,
    pub checkout: Option<CheckoutId>,
}

impl StripePerformer {
    /// Both halves are said explicitly, if at all: Stripe refuses to return a fee that was never taken, or a
    /// transfer of which nothing is left.
    pub(super) async fn create_refund(
        &self,
        task: &Task,
        wanted: Wanted<'_>,
    ) -> Result<Answer, Trouble> {
        let mut metadata = HashMap::from([(EFFECT.to_owned(), task.id.to_string())]);
        metadata.extend(wanted.asked.map(|refund| (REFUND.to_owned(), refund.to_string())));
        metadata
            .extend(wanted.checkout.map(|checkout| (CHECKOUT.to_owned(), checkout.to_string())));
        let mut request = CreateRefund::new()
            .payment_intent(wanted.payment_intent)
            .amount(wanted.amount)
            .metadata(metadata);
        if wanted.transfer == TransferReturn::Returned {
            request = request.reverse_transfer(true);
        }
        if wanted.fee == FeeReturn::Returned {
            request = request.refund_application_fee(true);
        }
        let refund = request
            .customize()
            .request_strategy(keyed(task)?)
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::Yes, error))?;
        Ok(Answer::RefundCreated(facts(&refund)))
    }

    pub(super) async fn retrieve_refund(&self, refund: &str) -> Result<Answer, Trouble> {
        let refund = RetrieveRefund::new(refund)
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::No, error))?;
        Ok(Answer::RefundRetrieved(facts(&refund)))
    }

    /// The refund that an earlier try of this task made.
    pub(super) async fn find_refund(
        &self,
        task: &Task,
        payment_intent: &str,
    ) -> Result<Option<Answer>, Trouble> {
        let effect = task.id.to_string();
        let listed = ListRefund::new().payment_intent(payment_intent).limit(100);
        let mut refunds = listed.paginate().stream(self.ready().await);
        while let Some(refund) =
            refunds.try_next().await.map_err(|error| trouble(Keyed::No, error))?
        {
            if refund.metadata.as_ref().and_then(|metadata| metadata.get(EFFECT)) == Some(&effect) {
                return Ok(Some(Answer::RefundCreated(facts(&refund))));
            }
        }
        Ok(None)
    }
}

/// The few facts that machines decide on.
pub(super) fn facts(refund: &Refund) -> facts::Refund {
    let status = match refund.status.as_deref() {
        Some("succeeded") => facts::RefundStatus::Succeeded,
        Some("failed") => facts::RefundStatus::Failed,
        Some("canceled") => facts::RefundStatus::Canceled,
        _ => facts::RefundStatus::Pending,
    };
    let payment_intent = match &refund.payment_intent {
        Some(Expandable::Id(id)) => id.to_string(),
        Some(Expandable::Object(intent)) => intent.id.to_string(),
        // Refunds of charges without an intent are not ours.
        None => String::new(),
    };
    let pending = refund.pending_reason.as_ref().map(|reason| reason.as_str().to_owned());
    let asked = refund.metadata.as_ref().and_then(|metadata| metadata.get(REFUND));
    facts::Refund {
        id: refund.id.to_string(),
        payment_intent,
        amount: refund.amount,
        status,
        asked: asked.and_then(|asked| asked.parse().ok()),
        reason: refund.failure_reason.clone().or(pending),
    }
}
