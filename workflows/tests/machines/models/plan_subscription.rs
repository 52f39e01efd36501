//! Plan subscription: subscriptions that change at Stripe while they are read, pages that are paid while
//! others are asked for, payments that fail, customers that Stripe does not know for a while, and plans that are
//! set by hand.

use stateright::{Model, Property};
use workflows::{
    effect::{Answer, Effect},
    plan::Plan,
    plan_subscription::{Event, PlanSubscription, State},
    stripe::SubscriptionStatus as Status,
    workflow::{Standing, Workflow},
};

use super::{
    check,
    plan_world::{Door, LAST, LATER, Paid, World, wish},
};
use crate::examples::{START, failure, plan_link, set_manually};

/// How far the timer's backoff is followed.
const LOOKS_MAX: u8 = 1;

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Setting {
    /// One wish, and a subscription that goes up and down.
    Pays,
    /// Two wishes, and two pages to pay on.
    Twice,
    /// A plan set by hand beside a subscription, and the portal.
    Gifted,
    /// Two wishes, and a Stripe that may say that it does not know the customer.
    Missing,
}

struct PlanModel(Setting);

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Subscribe,
    OpenPortal,
    Set(Option<Plan>),
    Pay(usize),
    Change(usize, Status),
    Renew(usize),
    Perform(usize),
    Fail(usize),
    Miss(usize),
    Answer(usize),
    Deliver,
    Timer,
    TimePasses,
    Cancel,
}

#[test]
fn pays() {
    check("plan_subscription, pays", PlanModel(Setting::Pays));
}

#[test]
fn twice() {
    check("plan_subscription, twice", PlanModel(Setting::Twice));
}

#[test]
fn gifted() {
    check("plan_subscription, gifted", PlanModel(Setting::Gifted));
}

#[test]
fn missing() {
    check("plan_subscription, missing", PlanModel(Setting::Missing));
}

/// How many wishes, openings of the portal, settings by hand and changes at Stripe there are at most.
fn limits(setting: Setting) -> (u8, u8, u8, u8) {
    match setting {
        Setting::Pays => (1, 0, 0, 3),
        Setting::Twice => (2, 0, 0, 2),
        Setting::Gifted => (1, 1, 2, 1),
        Setting::Missing => (2, 0, 0, 1),
    }
}

impl Model for PlanModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::begin()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let (wishes, portals, settings, changes) = limits(self.0);
        if world.wishes < wishes {
            actions.push(Action::Subscribe);
        }
        if world.portals < portals {
            actions.push(Action::OpenPortal);
        }
        if world.settings < settings {
            actions.extend([Action::Set(Some(Plan::Business)), Action::Set(None)]);
        }
        if world.changes < changes {
            for (n, page) in world.pages.iter().enumerate() {
                // Whoever pays on a page that is not handed out is as bad as it gets, but there are states enough.
                let found = page.handed_out || self.0 != Setting::Missing;
                if found && matches!(page.door, Door::OpenUntil(until) if world.now < until) {
                    actions.push(Action::Pay(n));
                }
            }
            for (n, paid) in world.subscriptions.iter().enumerate() {
                match paid.status {
                    Status::Active => actions.extend([
                        Action::Renew(n),
                        Action::Change(n, Status::PastDue),
                        Action::Change(n, Status::Ended),
                    ]),
                    Status::PastDue => {
                        actions.extend([Action::Renew(n), Action::Change(n, Status::Ended)]);
                    }
                    Status::Incomplete | Status::Ended => {}
                }
            }
        }
        for (index, reader) in world.calls.iter().enumerate() {
            if reader.call.answer.is_some() {
                actions.push(Action::Answer(index));
            } else {
                actions.extend([Action::Perform(index), Action::Fail(index)]);
                let of_customer = matches!(
                    reader.call.effect,
                    Effect::RetrieveBilling { .. } | Effect::CreatePlanSession(_)
                );
                if of_customer && self.0 == Setting::Missing {
                    actions.push(Action::Miss(index));
                }
            }
        }
        if world.changes > 0 {
            actions.push(Action::Deliver);
        }
        if world.timer && world.looks() < LOOKS_MAX {
            actions.push(Action::Timer);
        }
        // Two pages are states enough for one day.
        if world.now == START && self.0 != Setting::Twice {
            actions.push(Action::TimePasses);
        }
        actions.push(Action::Cancel);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Subscribe => {
                world.wishes += 1;
                let wish = wish(world.wishes + world.portals, world.now);
                world.hear(&wish, 0);
            }
            Action::OpenPortal => {
                world.portals += 1;
                let request = Some(plan_link(world.wishes + world.portals));
                world.hear(&Event::OpenPortal { return_url: String::new(), request }, 0);
            }
            Action::Set(plan) => {
                world.settings += 1;
                world.hear(&set_manually(plan), 0);
            }
            Action::Pay(page) => {
                let customer = world.pages[page].customer;
                world.pages[page].door = Door::Used;
                world.subscriptions.push(Paid { customer, status: Status::Active });
                world.invoices.push(customer);
                world.changes += 1;
            }
            Action::Change(subscription, status) => {
                world.subscriptions[subscription].status = status;
                world.changes += 1;
            }
            Action::Renew(subscription) => {
                let paid = &mut world.subscriptions[subscription];
                paid.status = Status::Active;
                world.invoices.push(paid.customer);
                world.changes += 1;
            }
            Action::Perform(call) => world.perform(call),
            Action::Fail(call) => {
                let call = &mut world.calls[call].call;
                world.unclosed |= matches!(call.effect, Effect::ExpirePlanSession { .. });
                call.answer = Some(Answer::Failed(failure("discarded")));
            }
            Action::Miss(call) => {
                world.calls[call].call.answer = Some(Answer::Failed(failure("resource_missing")));
            }
            Action::Answer(call) => world.answer(call),
            Action::Deliver => world.hear(&Event::Changed, 0),
            Action::Timer => world.hear(&Event::TimerFired, 0),
            Action::TimePasses => world.now = LATER,
            Action::Cancel => world.hear(&Event::Cancel, 0),
        }
        world.renumber();
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("one customer", |_, world: &World| {
                world.customers <= 1 || world.dropped
            }),
            Property::always("nobody who pays is given up before a week", |_, world: &World| {
                !world.dropped_early
            }),
            Property::always(
                "a link, or why there is none, is for the newest",
                |_, world: &World| !world.strayed,
            ),
            Property::always("nobody is handed a page for what they have", |_, world: &World| {
                !world.in_vain
            }),
            Property::always("left alone, pages for nobody are closed", |_, world: &World| {
                world.left_alone(&[world.now]).closes_its_pages()
            }),
            Property::always("no older answer overwrites a newer", |_, world: &World| {
                !world.overwritten
            }),
            Property::always("what was set by hand wins", |_, world: &World| {
                world.manual().is_none_or(|plan| world.plan == Some(plan))
            }),
            Property::always("a plan is paid for, or set by hand", |_, world: &World| {
                world.plan != Some(Plan::Pro) || !world.subscriptions.is_empty()
            }),
            Property::always("only what was paid is posted", |_, world: &World| {
                world.posted.len() <= world.invoices.len()
            }),
            Property::always("what is waited for is on its way", |_, world: &World| {
                world.timer
                    || !world.calls.is_empty()
                    || PlanSubscription::standing(&world.run) == Standing::Done
            }),
            Property::always("a timer is not set in vain", |_, world: &World| {
                let fired = &Event::TimerFired;
                !world.timer || PlanSubscription::step(&world.run, fired, world.now).is_ok()
            }),
            Property::always("left alone, it agrees with Stripe", |_, world: &World| {
                world.left_alone(&[world.now, LATER, LAST]).agrees_with_stripe()
            }),
        ];
        properties.extend(sometimes(self.0));
        properties
    }
}

fn sometimes(setting: Setting) -> Vec<Property<PlanModel>> {
    match setting {
        Setting::Pays => vec![
            Property::sometimes("subscribed", |_, world: &World| {
                matches!(world.run, State::Subscribed { .. })
            }),
            Property::sometimes("keeps the plan for a while", |_, world: &World| {
                matches!(world.run, State::PastDue { .. }) && world.plan == Some(Plan::Pro)
            }),
            Property::sometimes("loses the plan", |_, world: &World| {
                matches!(world.run, State::Lapsed { .. }) && world.plan == Some(Plan::Free)
            }),
            Property::sometimes("ends", |_, world: &World| {
                matches!(world.run, State::Unsubscribed { .. }) && !world.invoices.is_empty()
            }),
            Property::sometimes("Stripe makes no customer", |_, world: &World| {
                matches!(world.run, State::Unbilled { .. })
            }),
        ],
        Setting::Twice => vec![Property::sometimes("pays for two", |_, world: &World| {
            world.subscriptions.len() == 2
        })],
        Setting::Missing => vec![
            Property::sometimes("is missing, and keeps the plan", |_, world: &World| {
                world.missing_since.is_some() && world.plan == Some(Plan::Pro)
            }),
            Property::sometimes("is missing for a week, and loses it", |_, world: &World| {
                world.dropped && world.plan == Some(Plan::Free) && !world.invoices.is_empty()
            }),
            Property::sometimes("is made anew", |_, world: &World| world.customers == 2),
        ],
        Setting::Gifted => vec![
            Property::sometimes("more than is paid for", |_, world: &World| {
                matches!(world.run, State::Subscribed { .. }) && world.plan == Some(Plan::Business)
            }),
            Property::sometimes("cleared", |_, world: &World| {
                world.settings == 2
                    && matches!(world.run, State::Subscribed { .. })
                    && world.plan == Some(Plan::Pro)
            }),
        ],
    }
}
