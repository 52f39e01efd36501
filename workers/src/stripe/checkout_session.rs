//! Checkout Sessions with destination charges: opened, read, closed.

use std::collections::HashMap;

use engine::{Task, Trouble};
use futures::TryStreamExt;
use stripe::StripeRequest;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
    CreateCheckoutSessionPaymentIntentData, CreateCheckoutSessionPaymentIntentDataTransferData,
    ExpireCheckoutSession, ListCheckoutSession, ProductData, RetrieveCheckoutSession,
};
use stripe_shared::{
    CheckoutSession, CheckoutSessionMode, CheckoutSessionPaymentStatus, CheckoutSessionStatus,
    PaymentIntentStatus,
};
use stripe_types::{Currency as StripeCurrency, Expandable};
use workflows::{
    effect::{Answer, Failure, SessionRequest},
    money::Currency,
    stripe::{Outcome, Payment, Session},
    stripe_event::{CHECKOUT, EFFECT},
};

use super::{
    StripePerformer,
    failure::{Keyed, trouble},
    keyed, made_since,
};

impl StripePerformer {
    pub(super) async fn create_session(
        &self,
        task: &Task,
        wanted: &SessionRequest,
    ) -> Result<Answer, Trouble> {
        // On the payment intent, too: a session's metadata does not reach the charge.
        let metadata = HashMap::from([
            (CHECKOUT.to_owned(), wanted.checkout.to_string()),
            (EFFECT.to_owned(), task.id.to_string()),
        ]);
        let mut request = CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Payment)
            .line_items(vec![line_item(wanted)?])
            .payment_intent_data(payment_intent_data(wanted, metadata.clone()))
            .client_reference_id(wanted.checkout.to_string())
            .metadata(metadata)
            .success_url(wanted.success_url.as_str())
            .cancel_url(wanted.cancel_url.as_str())
            .expires_at(wanted.expires_at.secs());
        if !wanted.email.is_empty() {
            request = request.customer_email(wanted.email.as_str());
        }
        let session = request
            .customize()
            .request_strategy(keyed(task)?)
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::Yes, error))?;
        Ok(created(session))
    }

    /// The session that an earlier try of this task opened.
    pub(super) async fn find_session(&self, task: &Task) -> Result<Option<Answer>, Trouble> {
        let effect = task.id.to_string();
        // Nobody can have paid on a page whose address nobody has: it is open, as few are, or has expired.
        let listed = ListCheckoutSession::new()
            .status(CheckoutSessionStatus::Open)
            .created(made_since(task))
            .limit(100);
        let mut sessions = listed.paginate().stream(self.ready().await);
        while let Some(session) =
            sessions.try_next().await.map_err(|error| trouble(Keyed::No, error))?
        {
            if session.metadata.as_ref().and_then(|metadata| metadata.get(EFFECT)) == Some(&effect)
            {
                return Ok(Some(created(session)));
            }
        }
        Ok(None)
    }

    pub(super) async fn retrieve_session(&self, session: &str) -> Result<Answer, Trouble> {
        let session = RetrieveCheckoutSession::new(session)
            .expand(vec!["payment_intent".to_owned()])
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::No, error))?;
        report(&session).map(Answer::SessionRetrieved)
    }

    /// A session that is no longer open cannot be expired: then what became of it is the answer.
    pub(super) async fn expire_session(&self, session: &str) -> Result<Answer, Trouble> {
        let expired = ExpireCheckoutSession::new(session).send(self.ready().await).await;
        match expired.map_err(|error| trouble(Keyed::No, error)) {
            Ok(session) => report(&session).map(Answer::SessionRetrieved),
            Err(Trouble::Permanent(_)) => self.retrieve_session(session).await,
            Err(passing) => Err(passing),
        }
    }
}

fn line_item(wanted: &SessionRequest) -> Result<CreateCheckoutSessionLineItems, Trouble> {
    let code = wanted.price.currency.code().to_ascii_lowercase();
    let currency: StripeCurrency = code.parse().map_err(|_| {
        let message = format!("{code} is no currency of Stripe's");
        Trouble::Permanent(Failure { code: "invalid_currency".to_owned(), message })
    })?;
    let mut price = CreateCheckoutSessionLineItemsPriceData::new(currency);
    price.unit_amount = Some(wanted.price.minor);
    price.product_data = Some(ProductData::new(wanted.title.as_str()));
    let mut item = CreateCheckoutSessionLineItems::new();
    item.quantity = Some(1);
    item.price_data = Some(price);
    Ok(item)
}

/// A destination charge: the whole payment goes on to the creator, less the application fee.
/// A fee of nothing is left out, since Stripe refuses it.
fn payment_intent_data(
    wanted: &SessionRequest,
    metadata: HashMap<String, String>,
) -> CreateCheckoutSessionPaymentIntentData {
    let destination =
        CreateCheckoutSessionPaymentIntentDataTransferData::new(wanted.account.as_str());
    let mut data = CreateCheckoutSessionPaymentIntentData::new();
    data.application_fee_amount = (wanted.fee > 0).then_some(wanted.fee);
    data.transfer_data = Some(destination);
    data.metadata = Some(metadata);
    data
}

fn created(session: CheckoutSession) -> Answer {
    Answer::SessionCreated { session: session.id.to_string(), url: session.url.unwrap_or_default() }
}

/// What became of a session, read from its two statuses and its payment.
fn report(session: &CheckoutSession) -> Result<Session, Trouble> {
    let outcome = match (&session.status, &session.payment_status) {
        (Some(CheckoutSessionStatus::Expired), _) => Outcome::Expired,
        (_, CheckoutSessionPaymentStatus::Paid) => Outcome::Paid(payment(session)?),
        (Some(CheckoutSessionStatus::Complete), _) if payment_failed(session) => {
            Outcome::PaymentFailed
        }
        (Some(CheckoutSessionStatus::Complete), _) => Outcome::Unpaid,
        _ => Outcome::Open,
    };
    Ok(Session { id: session.id.to_string(), outcome })
}

fn payment(session: &CheckoutSession) -> Result<Payment, Trouble> {
    let unreadable = |what: &str| Trouble::Transient {
        retry_after: None,
        message: format!("the paid session {} has no {what}", session.id.as_str()),
    };
    let intent =
        match session.payment_intent.as_ref().ok_or_else(|| unreadable("payment intent"))? {
            Expandable::Id(id) => id.to_string(),
            Expandable::Object(intent) => intent.id.to_string(),
        };
    let amount = session.amount_total.ok_or_else(|| unreadable("amount"))?;
    let currency = session.currency.as_ref().ok_or_else(|| unreadable("currency"))?;
    let currency =
        Currency::parse(&currency.to_string()).map_err(|_| unreadable("known currency"))?;
    Ok(Payment { intent, amount, currency })
}

/// A delayed payment that failed leaves its intent in want of another payment method.
/// <https://docs.stripe.com/payments/paymentintents/lifecycle>
fn payment_failed(session: &CheckoutSession) -> bool {
    match &session.payment_intent {
        Some(Expandable::Object(intent)) => matches!(
            intent.status,
            PaymentIntentStatus::RequiresPaymentMethod | PaymentIntentStatus::Canceled
        ),
        _ => false,
    }
}
