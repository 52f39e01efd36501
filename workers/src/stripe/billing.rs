//! What handles pay the platform for their plans: customers, subscriptions, the billing portal.

use std::{cmp::Reverse, collections::HashMap};

use engine::{Task, Trouble};
use futures::TryStreamExt;
use stripe::{StripeError, StripeRequest};
use stripe_billing::{
    billing_portal_session::CreateBillingPortalSession, invoice::ListInvoice,
    subscription::ListSubscription,
};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionSubscriptionData,
    ExpireCheckoutSession, ListCheckoutSession,
};
use stripe_core::customer::{CreateCustomer, ListCustomer};
use stripe_shared::{
    CheckoutSession, CheckoutSessionMode, Customer, Invoice, InvoiceStatus, Subscription,
    SubscriptionItem, SubscriptionStatus,
};
use workflows::{
    Timestamp,
    effect::{Answer, Failure, PlanSessionRequest},
    id::HandleId,
    money::Currency,
    plan::Plans,
    stripe as facts,
    stripe_event::{EFFECT, HANDLE},
};

use super::{
    StripePerformer,
    failure::{Keyed, trouble},
    keyed, made_since,
};

/// How many paid invoices are read: more are not paid between two looks.
const INVOICES: i64 = 20;
/// A handle pays for one subscription.
const SUBSCRIPTIONS: i64 = 100;
/// How long a link to the portal is good before it is opened, in milliseconds.
/// <https://docs.stripe.com/api/customer_portal/sessions>
const PORTAL: i64 = 5 * Timestamp::MINUTE;

impl StripePerformer {
    pub(super) async fn create_customer(
        &self,
        task: &Task,
        handle: HandleId,
        name: &str,
    ) -> Result<Answer, Trouble> {
        let customer = CreateCustomer::new()
            .name(name)
            .metadata(metadata(task, handle))
            .customize()
            .request_strategy(keyed(task)?)
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::Yes, error))?;
        Ok(customer_created(&customer))
    }

    /// The customer that an earlier try of this task made.
    pub(super) async fn find_customer(&self, task: &Task) -> Result<Option<Answer>, Trouble> {
        let effect = task.id.to_string();
        let listed = ListCustomer::new().created(made_since(task)).limit(100);
        let mut customers = listed.paginate().stream(self.ready().await);
        while let Some(customer) =
            customers.try_next().await.map_err(|error| trouble(Keyed::No, error))?
        {
            if customer.metadata.as_ref().and_then(|metadata| metadata.get(EFFECT)) == Some(&effect)
            {
                return Ok(Some(customer_created(&customer)));
            }
        }
        Ok(None)
    }

    pub(super) async fn create_plan_session(
        &self,
        task: &Task,
        wanted: &PlanSessionRequest,
    ) -> Result<Answer, Trouble> {
        // On the subscription, too: a session's metadata does not reach it.
        let metadata = metadata(task, wanted.handle);
        let mut item = CreateCheckoutSessionLineItems::new();
        item.price = Some(wanted.price.clone());
        item.quantity = Some(1);
        let mut subscription = CreateCheckoutSessionSubscriptionData::new();
        subscription.metadata = Some(metadata.clone());
        let session = CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Subscription)
            .customer(wanted.customer.as_str())
            .line_items(vec![item])
            .subscription_data(subscription)
            .client_reference_id(wanted.handle.to_string())
            .metadata(metadata)
            .success_url(wanted.success_url.as_str())
            .cancel_url(wanted.cancel_url.as_str())
            .expires_at(wanted.expires_at.secs())
            .customize()
            .request_strategy(keyed(task)?)
            .send(self.ready().await)
            .await
            .map_err(page_trouble)?;
        Ok(session_created(session))
    }

    /// The session that an earlier try of this task opened.
    pub(super) async fn find_plan_session(
        &self,
        task: &Task,
        customer: &str,
    ) -> Result<Option<Answer>, Trouble> {
        let effect = task.id.to_string();
        let listed =
            ListCheckoutSession::new().customer(customer).created(made_since(task)).limit(100);
        let mut sessions = listed.paginate().stream(self.ready().await);
        while let Some(session) =
            sessions.try_next().await.map_err(|error| trouble(Keyed::No, error))?
        {
            if session.metadata.as_ref().and_then(|metadata| metadata.get(EFFECT)) == Some(&effect)
            {
                return Ok(Some(session_created(session)));
            }
        }
        Ok(None)
    }

    /// A session that is no longer open cannot be expired, and need not be.
    pub(super) async fn expire_plan_session(&self, session: &str) -> Result<Answer, Trouble> {
        let expired = ExpireCheckoutSession::new(session).send(self.ready().await).await;
        match expired.map_err(|error| trouble(Keyed::No, error)) {
            Ok(_) | Err(Trouble::Permanent(_)) => Ok(Answer::PlanSessionClosed),
            Err(passing) => Err(passing),
        }
    }

    /// Without a key: a link is short-lived, and a second one does no harm.
    pub(super) async fn create_portal_session(
        &self,
        customer: &str,
        return_url: &str,
    ) -> Result<Answer, Trouble> {
        let session = CreateBillingPortalSession::new()
            .customer(customer)
            .return_url(return_url)
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::No, error))?;
        let expires_at = Timestamp::from_secs(session.created).plus(PORTAL);
        Ok(Answer::PortalSessionCreated { url: session.url, expires_at })
    }

    /// Reads every subscription that is not cancelled, and the newest paid invoices. The invoices are read
    /// after the subscriptions: what made a subscription active is among them.
    pub(super) async fn retrieve_billing(&self, customer: &str) -> Result<Answer, Trouble> {
        let subscriptions = ListSubscription::new()
            .customer(customer)
            .limit(SUBSCRIPTIONS)
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::No, error))?;
        let invoices = ListInvoice::new()
            .customer(customer)
            .status(InvoiceStatus::Paid)
            .limit(INVOICES)
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::No, error))?;
        let paid = invoices.data.iter().filter_map(|invoice| paid(invoice).transpose());
        let paid = paid.collect::<Result<_, _>>()?;
        let (subscription, others) = chosen(&self.plans, &subscriptions.data);
        Ok(Answer::BillingRetrieved(facts::Billing { subscription, others, paid }))
    }
}

/// A page needs a customer and a price, and Stripe has one code for either that it does not know. Only the
/// customer can be made anew: a price that is missing must not cost a handle the customer that it is.
fn page_trouble(error: StripeError) -> Trouble {
    let of_price = matches!(&error, StripeError::Stripe(api, _)
        if api.param.as_deref().is_some_and(|param| param.starts_with("line_items")));
    match trouble(Keyed::Yes, error) {
        Trouble::Permanent(Failure { message, .. }) if of_price => {
            Trouble::Permanent(Failure { code: "price_missing".to_owned(), message })
        }
        other => other,
    }
}

fn metadata(task: &Task, handle: HandleId) -> HashMap<String, String> {
    HashMap::from([
        (HANDLE.to_owned(), handle.to_string()),
        (EFFECT.to_owned(), task.id.to_string()),
    ])
}

fn customer_created(customer: &Customer) -> Answer {
    Answer::CustomerCreated { customer: customer.id.to_string() }
}

fn session_created(session: CheckoutSession) -> Answer {
    Answer::PlanSessionCreated {
        session: session.id.to_string(),
        url: session.url.unwrap_or_default(),
    }
}

/// The subscription that counts, and the ids of others that are paid for as well. One to a plan counts more
/// than one to something else, paid more than unpaid, a larger plan more than a smaller, an older
/// subscription more than a newer.
fn chosen(
    plans: &Plans,
    subscriptions: &[Subscription],
) -> (Option<facts::Subscription>, Vec<String>) {
    use facts::SubscriptionStatus as Status;
    let mut known: Vec<_> = subscriptions
        .iter()
        .filter_map(|subscription| Some((subscription.created, read(plans, subscription)?)))
        .filter(|(_, subscription)| subscription.status != Status::Ended)
        .collect();
    known.sort_by_key(|(created, subscription)| {
        let rank = match subscription.status {
            Status::Active => 0,
            Status::PastDue => 1,
            Status::Incomplete => 2,
            Status::Ended => 3,
        };
        (subscription.plan.is_none(), rank, Reverse(subscription.plan), *created)
    });
    let mut known = known.into_iter().map(|(_, subscription)| subscription);
    let first = known.next();
    let others = known
        .filter(|other| matches!(other.status, Status::Active | Status::PastDue))
        .map(|other| other.id)
        .collect();
    (first, others)
}

/// The few facts that the machine decides on. A subscription to nothing is none.
fn read(plans: &Plans, subscription: &Subscription) -> Option<facts::Subscription> {
    use facts::SubscriptionStatus as Status;
    let plan_of = |item: &SubscriptionItem| plans.of_price(item.price.id.as_str());
    let items = &subscription.items.data;
    // Beside the plan there may be extras of the platform's.
    let item = items.iter().find(|item| plan_of(item).is_some()).or(items.first())?;
    let period_end = Timestamp::from_secs(item.current_period_end);
    let at_period_end = subscription.cancel_at_period_end.then_some(period_end);
    Some(facts::Subscription {
        id: subscription.id.to_string(),
        status: match subscription.status {
            SubscriptionStatus::Active | SubscriptionStatus::Trialing => Status::Active,
            SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid => Status::PastDue,
            SubscriptionStatus::Incomplete => Status::Incomplete,
            _ => Status::Ended,
        },
        price: item.price.id.to_string(),
        plan: plan_of(item),
        period_start: Timestamp::from_secs(item.current_period_start),
        period_end,
        cancel_at: subscription.cancel_at.map(Timestamp::from_secs).or(at_period_end),
    })
}

/// What Stripe took in for an invoice; nothing, where nothing had to be paid or it was paid elsewhere.
fn paid(invoice: &Invoice) -> Result<Option<facts::PaidInvoice>, Trouble> {
    let amount = invoice.amount_paid - invoice.amount_paid_off_stripe.unwrap_or_default();
    let Some(id) = invoice.id.as_ref().filter(|_| amount > 0) else { return Ok(None) };
    let currency = Currency::parse(&invoice.currency.to_string()).map_err(|unknown| {
        let code = "unknown_currency".to_owned();
        Trouble::Permanent(Failure { code, message: unknown.to_string() })
    })?;
    Ok(Some(facts::PaidInvoice { id: id.to_string(), amount, currency }))
}
