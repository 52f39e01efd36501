//! Plan subscription: subscriptions that change at Stripe while they are read, pages that are paid while
//! others are asked for, payments that fail, and plans that are set by hand.

use std::collections::BTreeSet;

use stateright::{Model, Property};
use workflows::{
    Timestamp,
    effect::{Answer, Effect},
    plan::Plan,
    plan_subscription::{Event, Known, PlanSubscription, State, Subscribe},
    record::Record,
    stripe::{Billing, Subscription, SubscriptionStatus as Status},
    workflow::{Standing, Workflow},
};

use super::{Call, check};
use crate::examples::{START, failure, handle, invoice, set_manually, subscription};

/// Every deadline that was set at the start is over by then, and then every one set by then.
const LATER: Timestamp = START.plus(10 * Timestamp::DAY);
const LAST: Timestamp = START.plus(20 * Timestamp::DAY);
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
}

struct PlanModel(Setting);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    run: State,
    timer: bool,
    now: Timestamp,
    calls: Vec<Reader>,
    customers: u8,
    /// `cs_1` and so on, at Stripe.
    pages: Vec<Page>,
    /// `sub_1` and so on, at Stripe.
    subscriptions: Vec<Status>,
    /// `in_1` and so on, at Stripe.
    invoices: u8,
    wishes: u8,
    portals: u8,
    settings: u8,
    /// How many changes there were at Stripe.
    changes: u8,
    /// The change count at which the facts in the row were read.
    read_at: u8,
    overwritten: bool,
    /// The plan in the row.
    plan: Option<Plan>,
    posted: BTreeSet<String>,
}

/// A call, and the change count at which it was performed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reader {
    call: Call,
    at: u8,
}

/// A page to subscribe on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Page {
    OpenUntil(Timestamp),
    Used,
    Closed,
}

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

fn wish(now: Timestamp) -> Event {
    Event::Subscribe(Box::new(Subscribe {
        handle: handle(),
        name: "Maria".to_owned(),
        price: "price_pro".to_owned(),
        success_url: String::new(),
        cancel_url: String::new(),
        expires_at: now.plus(12 * Timestamp::HOUR),
    }))
}

impl World {
    fn hear(&mut self, event: &Event, read_at: u8) {
        if *event == Event::TimerFired {
            self.timer = false;
        }
        let Ok(step) = PlanSubscription::step(&self.run, event, self.now) else {
            return;
        };
        self.timer = step.wake_at.is_some();
        self.run = step.state;
        self.calls.extend(
            step.effects.into_iter().map(|effect| Reader { call: Call::new(effect), at: 0 }),
        );
        for record in step.records {
            match record {
                Record::PlanSubscription(row) => self.plan = Some(row.plan),
                Record::Ledger(posting) => {
                    self.posted.insert(posting.stripe_object);
                }
                _ => {}
            }
        }
        if matches!(event, Event::BillingRetrieved { .. }) {
            self.overwritten |= read_at < self.read_at;
            self.read_at = read_at;
        }
    }

    fn perform(&mut self, call: usize) {
        let answer = match &self.calls[call].call.effect {
            Effect::CreateCustomer { .. } => {
                self.customers += 1;
                Answer::CustomerCreated { customer: "cus_1".to_owned() }
            }
            Effect::CreatePlanSession(request) => {
                self.pages.push(Page::OpenUntil(request.expires_at));
                let session = format!("cs_{}", self.pages.len());
                Answer::PlanSessionCreated { session, url: String::new() }
            }
            Effect::ExpirePlanSession { session } => {
                let number: usize = session.trim_start_matches("cs_").parse().unwrap();
                let page = &mut self.pages[number - 1];
                if matches!(page, Page::OpenUntil(_)) {
                    *page = Page::Closed;
                }
                Answer::PlanSessionClosed
            }
            Effect::CreatePortalSession { .. } => {
                let expires_at = self.now.plus(5 * Timestamp::MINUTE);
                Answer::PortalSessionCreated { url: String::new(), expires_at }
            }
            Effect::RetrieveBilling { .. } => Answer::BillingRetrieved(self.billing()),
            effect => panic!("not an effect of a plan: {effect:?}"),
        };
        self.calls[call].at = self.changes;
        self.calls[call].call.answer = Some(answer);
    }

    /// What is paid for, and what was paid.
    fn billing(&self) -> Billing {
        let numbered = |(n, status): (usize, &Status)| Subscription {
            id: format!("sub_{}", n + 1),
            ..subscription(*status)
        };
        let mut all: Vec<_> = self.subscriptions.iter().enumerate().map(numbered).collect();
        all.retain(|subscription| subscription.status != Status::Ended);
        all.sort_by_key(|subscription| subscription.status != Status::Active);
        let mut all = all.into_iter();
        Billing {
            subscription: all.next(),
            others: all.map(|other| other.id).collect(),
            paid: (1..=self.invoices).map(|n| invoice(&format!("in_{n}"))).collect(),
        }
    }

    fn answer(&mut self, call: usize) {
        let Reader { call: Call { effect, answer }, at } = self.calls.remove(call);
        if let Some(event) = answer.and_then(|answer| PlanSubscription::on_answer(&effect, &answer))
        {
            self.hear(&event, at);
        }
    }

    /// The newest reading is told from earlier ones by its number, which means nothing else: it is counted as
    /// the first however many there were, and all earlier ones as none, so that there is an end to the states.
    fn renumber(&mut self) {
        let Some(known) = known_in(&mut self.run) else { return };
        let newest = std::mem::replace(&mut known.readings, 1);
        for reader in &mut self.calls {
            if let Effect::RetrieveBilling { reading, .. } = &mut reader.call.effect {
                *reading = u32::from(*reading == newest);
            }
        }
    }

    fn left_alone(&self) -> World {
        let mut world = self.clone();
        for now in [world.now, LATER.max(world.now), LAST] {
            world.now = now;
            for _ in 0..4 {
                while !world.calls.is_empty() {
                    if world.calls[0].call.answer.is_none() {
                        world.perform(0);
                    }
                    world.answer(0);
                }
                if world.timer {
                    world.hear(&Event::TimerFired, world.changes);
                }
            }
        }
        while !world.calls.is_empty() {
            if world.calls[0].call.answer.is_none() {
                world.perform(0);
            }
            world.answer(0);
        }
        world
    }

    fn agrees_with_stripe(&self) -> bool {
        let paid = self.billing();
        let status = paid.subscription.as_ref().map(|subscription| subscription.status);
        let stands = matches!(
            (&self.run, status),
            (State::Subscribed { .. }, Some(Status::Active))
                | (State::Lapsed { .. }, Some(Status::PastDue))
                | (State::Unsubscribed { .. } | State::Unbilled { .. }, None)
        );
        let plan = match (self.manual(), status) {
            (Some(plan), _) => plan,
            (None, Some(Status::Active)) => Plan::Pro,
            (None, _) => Plan::Free,
        };
        let posted: BTreeSet<_> = paid.paid.into_iter().map(|invoice| invoice.id).collect();
        stands && self.plan == Some(plan) && self.posted == posted
    }

    fn manual(&self) -> Option<Plan> {
        let manual = match &self.run {
            State::Unbilled { manual, .. } | State::CreatingCustomer { manual, .. } => manual,
            State::CreatingLink { known }
            | State::AwaitingCheckout { known }
            | State::Subscribed { known }
            | State::PastDue { known }
            | State::Lapsed { known }
            | State::Unsubscribed { known } => &known.manual,
        };
        manual.as_ref().map(|manual| manual.plan)
    }

    fn looks(&self) -> u8 {
        match &self.run {
            State::Unbilled { .. } | State::CreatingCustomer { .. } => 0,
            State::CreatingLink { known }
            | State::AwaitingCheckout { known }
            | State::Subscribed { known }
            | State::PastDue { known }
            | State::Lapsed { known }
            | State::Unsubscribed { known } => known.looks,
        }
    }
}

fn known_in(run: &mut State) -> Option<&mut Known> {
    match run {
        State::Unbilled { .. } | State::CreatingCustomer { .. } => None,
        State::CreatingLink { known }
        | State::AwaitingCheckout { known }
        | State::Subscribed { known }
        | State::PastDue { known }
        | State::Lapsed { known }
        | State::Unsubscribed { known } => Some(known),
    }
}

/// How many wishes, openings of the portal, settings by hand and changes at Stripe there are at most.
fn limits(setting: Setting) -> (u8, u8, u8, u8) {
    match setting {
        Setting::Pays => (1, 0, 0, 3),
        Setting::Twice => (2, 0, 0, 2),
        Setting::Gifted => (1, 1, 2, 1),
    }
}

impl Model for PlanModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let step = PlanSubscription::start(&wish(START), START).unwrap();
        let calls =
            step.effects.into_iter().map(|effect| Reader { call: Call::new(effect), at: 0 });
        vec![World {
            run: step.state,
            timer: step.wake_at.is_some(),
            now: START,
            calls: calls.collect(),
            customers: 0,
            pages: Vec::new(),
            subscriptions: Vec::new(),
            invoices: 0,
            wishes: 1,
            portals: 0,
            settings: 0,
            changes: 0,
            read_at: 0,
            overwritten: false,
            plan: Some(Plan::Free),
            posted: BTreeSet::new(),
        }]
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
                if matches!(page, Page::OpenUntil(until) if world.now < *until) {
                    actions.push(Action::Pay(n));
                }
            }
            for (n, status) in world.subscriptions.iter().enumerate() {
                match status {
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
                let wish = wish(world.now);
                world.hear(&wish, 0);
            }
            Action::OpenPortal => {
                world.portals += 1;
                world.hear(&Event::OpenPortal { return_url: String::new() }, 0);
            }
            Action::Set(plan) => {
                world.settings += 1;
                world.hear(&set_manually(plan), 0);
            }
            Action::Pay(page) => {
                world.pages[page] = Page::Used;
                world.subscriptions.push(Status::Active);
                world.invoices += 1;
                world.changes += 1;
            }
            Action::Change(subscription, status) => {
                world.subscriptions[subscription] = status;
                world.changes += 1;
            }
            Action::Renew(subscription) => {
                world.subscriptions[subscription] = Status::Active;
                world.invoices += 1;
                world.changes += 1;
            }
            Action::Perform(call) => world.perform(call),
            Action::Fail(call) => {
                world.calls[call].call.answer = Some(Answer::Failed(failure("discarded")));
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
            Property::always("one customer", |_, world: &World| world.customers <= 1),
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
                world.posted.len() <= usize::from(world.invoices)
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
                world.left_alone().agrees_with_stripe()
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
                matches!(world.run, State::Unsubscribed { .. }) && world.invoices > 0
            }),
            Property::sometimes("Stripe makes no customer", |_, world: &World| {
                matches!(world.run, State::Unbilled { .. })
            }),
        ],
        Setting::Twice => vec![Property::sometimes("pays for two", |_, world: &World| {
            world.subscriptions.len() == 2
        })],
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
