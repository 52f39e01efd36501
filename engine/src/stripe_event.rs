//! Events of Stripe's as the inbox keeps them, however they came: by webhook, or listed.

use entities::inbox::NewInbox;
use workflows::{
    checkout::Checkout,
    connect_onboarding::ConnectOnboarding,
    plan_subscription::PlanSubscription,
    stripe_event::{Endpoint, Envelope, Meaning, Unrouted, meaning},
    workflow::Workflow,
};

/// The event as the inbox keeps it: unique by its id, so that it has one effect however often, and by
/// whichever way, it comes. `livemode` is that of this installation.
pub fn message(
    endpoint: Endpoint,
    livemode: bool,
    envelope: Envelope,
) -> Result<NewInbox, serde_json::Error> {
    if let Some(reason) = of_the_other_mode(livemode, &envelope) {
        return Ok(aside(envelope.id, "IGNORED", reason));
    }
    match meaning(endpoint, &envelope) {
        Meaning::For(message) => Ok(NewInbox {
            run_id: Some(message.run().0),
            workflow: message.workflow(),
            subject: Some(message.subject()),
            event: message.event_json()?,
            ..pending(envelope.id)
        }),
        Meaning::About(object, unrouted) => Ok(NewInbox {
            workflow: listener(&unrouted),
            stripe_object: Some(object),
            event: unrouted.event_json()?,
            ..pending(envelope.id)
        }),
        Meaning::Nothing => {
            let reason = format!("no machine listens to {}", envelope.kind);
            Ok(aside(envelope.id, "IGNORED", reason))
        }
        // A person looks at it: the type promises what the event has not.
        Meaning::Malformed(reason) => Ok(aside(envelope.id, "DEAD", reason)),
    }
}

/// Whether a message only says why nobody is to hear it.
pub fn is_for_nobody(message: &NewInbox) -> bool {
    message.status == "IGNORED"
}

/// Why an event is set aside unread, if it is. Events of accounts that are not ours are set aside later, when
/// nobody has come to know the account.
fn of_the_other_mode(livemode: bool, envelope: &Envelope) -> Option<String> {
    let (theirs, ours) = (mode(envelope.livemode), mode(livemode));
    (theirs != ours).then(|| format!("a {theirs} event, and this installation is in {ours}"))
}

fn mode(livemode: bool) -> &'static str {
    if livemode { "live mode" } else { "test mode" }
}

fn listener(unrouted: &Unrouted) -> &'static str {
    match unrouted {
        Unrouted::Checkout(_) => Checkout::NAME,
        Unrouted::ConnectOnboarding(_) => ConnectOnboarding::NAME,
        Unrouted::PlanSubscription(_) => PlanSubscription::NAME,
    }
}

fn pending(id: String) -> NewInbox {
    NewInbox {
        source: "stripe",
        source_id: id,
        run_id: None,
        workflow: "",
        subject: None,
        handle_id: None,
        stripe_object: None,
        event: String::new(),
        status: "PENDING",
        last_error: None,
    }
}

fn aside(id: String, status: &'static str, reason: String) -> NewInbox {
    NewInbox { event: "null".to_owned(), status, last_error: Some(reason), ..pending(id) }
}
