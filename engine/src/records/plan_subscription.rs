//! The rows of plans. Few, and so written one by one.

use entities::plan_subscription::{self, Link, PlanSubscription};
use sea_orm::{ConnectionTrait, DbErr};
use workflows::{
    Timestamp,
    record::{PlanLinkChange, PlanSubscriptionUpdate},
};

/// Writes plans down, in the order of the handles.
pub async fn write(
    db: &impl ConnectionTrait,
    updates: &[(Timestamp, PlanSubscriptionUpdate)],
) -> Result<(), DbErr> {
    let mut sorted: Vec<_> = updates.iter().collect();
    sorted.sort_by_key(|(_, update)| update.handle);
    for (at, update) in sorted {
        let link = match update.link {
            PlanLinkChange::Keep => Link::Keep,
            PlanLinkChange::Drop
            | PlanLinkChange::Asked(_)
            | PlanLinkChange::Set(_)
            | PlanLinkChange::Failed(_) => Link::Replace,
        };
        plan_subscription::set(db, &row(*at, update), link).await?;
    }
    Ok(())
}

fn row(at: Timestamp, update: &PlanSubscriptionUpdate) -> PlanSubscription {
    fn text(name: impl Into<&'static str>) -> String {
        name.into().to_owned()
    }
    let subscription = update.subscription.as_ref();
    let (request, link, failure) = match &update.link {
        PlanLinkChange::Keep | PlanLinkChange::Drop => (None, None, None),
        PlanLinkChange::Asked(request) => (*request, None, None),
        PlanLinkChange::Set(link) => (link.request, Some(link), None),
        PlanLinkChange::Failed(failure) => (None, None, Some(failure)),
    };
    PlanSubscription {
        handle_id: update.handle.0,
        plan: text(update.plan),
        source: text(update.source),
        status: text(update.status),
        reason: update.reason.clone(),
        customer_id: update.customer.clone(),
        subscription_id: subscription.map(|subscription| subscription.id.clone()),
        price: subscription.map(|subscription| subscription.price.clone()),
        subscribed_plan: subscription.and_then(|subscription| subscription.plan).map(text),
        period_start: subscription.map(|subscription| subscription.period_start.millis()),
        period_end: subscription.map(|subscription| subscription.period_end.millis()),
        cancel_at: subscription
            .and_then(|subscription| subscription.cancel_at)
            .map(Timestamp::millis),
        grace_until: update.grace_until.map(Timestamp::millis),
        link_purpose: link.map(|link| text(link.purpose)),
        link_url: link.map(|link| link.url.clone()),
        link_expires_at: link.map(|link| link.expires_at.millis()),
        link_request: request.map(|request| request.0),
        failure: failure.map(|failure| failure.message.clone()),
        failure_request: failure.and_then(|failure| failure.request).map(|request| request.0),
        updated_at: at.millis(),
    }
}
