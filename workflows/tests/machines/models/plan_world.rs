//! The world of a plan: what is at Stripe, what is on its way, and what became of it.

use std::collections::BTreeSet;

use workflows::{
    Timestamp,
    effect::{Answer, Effect},
    id::PlanLinkId,
    plan::Plan,
    plan_subscription::{Event, GRACE, Known, PlanSubscription, State, Subscribe},
    record::{PlanLinkChange, PlanLinkPurpose, PlanStatus, PlanSubscriptionUpdate, Record},
    stripe::{Billing, Subscription, SubscriptionStatus as Status},
    workflow::Workflow,
};

use super::Call;
use crate::examples::{START, handle, invoice, plan_link, subscription};

/// Every deadline that was set at the start is over by then, and then every one set by then.
pub const LATER: Timestamp = START.plus(10 * Timestamp::DAY);
pub const LAST: Timestamp = START.plus(20 * Timestamp::DAY);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub run: State,
    pub timer: bool,
    pub now: Timestamp,
    pub calls: Vec<Reader>,
    /// `cus_1` and so on, at Stripe.
    pub customers: u8,
    /// `cs_1` and so on, at Stripe.
    pub pages: Vec<Page>,
    /// `sub_1` and so on, at Stripe.
    pub subscriptions: Vec<Paid>,
    /// Whose `in_1` and so on is, at Stripe.
    pub invoices: Vec<u8>,
    pub wishes: u8,
    pub portals: u8,
    /// The newest request that was taken.
    pub newest: Option<PlanLinkId>,
    /// What was there for one request went to another.
    pub strayed: bool,
    /// Somebody was handed a page for what they were known to have.
    pub in_vain: bool,
    /// A page could not be closed.
    pub unclosed: bool,
    /// Since when the customer has been missing, whenever it was looked for.
    pub missing_since: Option<Timestamp>,
    /// A customer was given up.
    pub dropped: bool,
    /// A customer was given up that pays, or may be about to, and was not missing for long.
    pub dropped_early: bool,
    pub settings: u8,
    /// How many changes there were at Stripe.
    pub changes: u8,
    /// The change count at which the facts in the row were read.
    pub read_at: u8,
    pub overwritten: bool,
    /// The plan in the row.
    pub plan: Option<Plan>,
    pub posted: BTreeSet<String>,
}

/// A call, and the change count at which it was performed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    pub call: Call,
    pub at: u8,
}

/// A page to subscribe on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    pub customer: u8,
    /// Somebody has its address.
    pub handed_out: bool,
    pub door: Door,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    OpenUntil(Timestamp),
    Used,
    Closed,
}

/// A subscription at Stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Paid {
    pub customer: u8,
    pub status: Status,
}

impl Paid {
    fn is_live(self) -> bool {
        matches!(self.status, Status::Active | Status::PastDue)
    }
}

pub fn wish(request: u8, now: Timestamp) -> Event {
    Event::Subscribe(Box::new(Subscribe {
        handle: handle(),
        name: "Maria".to_owned(),
        price: "price_pro".to_owned(),
        success_url: String::new(),
        cancel_url: String::new(),
        expires_at: now.plus(12 * Timestamp::HOUR),
        request: Some(plan_link(request)),
    }))
}

/// `cus_2`, `cs_2`
fn number(id: &str) -> u8 {
    id.rsplit('_').next().and_then(|number| number.parse().ok()).expect("a numbered id")
}

impl World {
    /// One wish, and nothing done about it.
    pub fn begin() -> Self {
        let step = PlanSubscription::start(&wish(1, START), START).unwrap();
        let calls =
            step.effects.into_iter().map(|effect| Reader { call: Call::new(effect), at: 0 });
        Self {
            run: step.state,
            timer: step.wake_at.is_some(),
            now: START,
            calls: calls.collect(),
            customers: 0,
            pages: Vec::new(),
            subscriptions: Vec::new(),
            invoices: Vec::new(),
            wishes: 1,
            portals: 0,
            newest: Some(plan_link(1)),
            strayed: false,
            in_vain: false,
            unclosed: false,
            missing_since: None,
            dropped: false,
            dropped_early: false,
            settings: 0,
            changes: 0,
            read_at: 0,
            overwritten: false,
            plan: Some(Plan::Free),
            posted: BTreeSet::new(),
        }
    }

    pub fn hear(&mut self, event: &Event, read_at: u8) {
        if *event == Event::TimerFired {
            self.timer = false;
        }
        let Ok(step) = PlanSubscription::step(&self.run, event, self.now) else {
            return;
        };
        self.timer = step.wake_at.is_some();
        let before = std::mem::replace(&mut self.run, step.state);
        self.note(&before, event);
        self.calls.extend(
            step.effects.into_iter().map(|effect| Reader { call: Call::new(effect), at: 0 }),
        );
        for record in step.records {
            match record {
                Record::PlanSubscription(row) => self.show(&row, event),
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

    /// What an accepted event says of requests, and of the customer.
    fn note(&mut self, before: &State, event: &Event) {
        match event {
            Event::Subscribe(wish) => self.newest = wish.request,
            Event::OpenPortal { request, .. } => self.newest = *request,
            Event::BillingRetrieved { .. } => self.missing_since = None,
            Event::BillingUnreadable { failure, .. } | Event::LinkFailed { failure, .. }
                if failure.code == "resource_missing" =>
            {
                self.missing_since.get_or_insert(self.now);
            }
            _ => {}
        }
        if let Some(customer) = customer_in(before).filter(|_| customer_in(&self.run).is_none()) {
            let missing_for_long =
                self.missing_since.take().is_some_and(|since| since.plus(GRACE) <= self.now);
            self.dropped = true;
            self.dropped_early |= self.matters(customer) && !missing_for_long;
        }
    }

    /// Whether a customer pays, or has a page to subscribe on.
    fn matters(&self, customer: u8) -> bool {
        let open = |page: &Page| matches!(page.door, Door::OpenUntil(until) if self.now < until);
        self.subscriptions.iter().any(|paid| paid.customer == customer && paid.is_live())
            || self
                .pages
                .iter()
                .any(|page| page.customer == customer && page.handed_out && open(page))
    }

    /// What is in the row, for whoever waits for a link.
    fn show(&mut self, row: &PlanSubscriptionUpdate, event: &Event) {
        self.plan = Some(row.plan);
        match &row.link {
            PlanLinkChange::Keep | PlanLinkChange::Drop => {}
            PlanLinkChange::Asked(request) => self.strayed |= *request != self.newest,
            PlanLinkChange::Failed(failed) => {
                self.strayed |= failed.request.is_some() && failed.request != self.newest;
            }
            PlanLinkChange::Set(link) => {
                self.strayed |= link.request != self.newest;
                self.in_vain |= link.purpose == PlanLinkPurpose::Checkout
                    && matches!(
                        row.status,
                        PlanStatus::Active | PlanStatus::PastDue | PlanStatus::Lapsed
                    );
                if let Event::CheckoutCreated { session, .. } = event {
                    self.pages[usize::from(number(session)) - 1].handed_out = true;
                }
            }
        }
    }

    pub fn perform(&mut self, call: usize) {
        let answer = match &self.calls[call].call.effect {
            Effect::CreateCustomer { .. } => {
                self.customers += 1;
                Answer::CustomerCreated { customer: format!("cus_{}", self.customers) }
            }
            Effect::CreatePlanSession(request) => {
                self.pages.push(Page {
                    customer: number(&request.customer),
                    handed_out: false,
                    door: Door::OpenUntil(request.expires_at),
                });
                let session = format!("cs_{}", self.pages.len());
                Answer::PlanSessionCreated { session, url: String::new() }
            }
            Effect::ExpirePlanSession { session } => {
                let page = &mut self.pages[usize::from(number(session)) - 1];
                if matches!(page.door, Door::OpenUntil(_)) {
                    page.door = Door::Closed;
                }
                Answer::PlanSessionClosed
            }
            Effect::CreatePortalSession { .. } => {
                let expires_at = self.now.plus(5 * Timestamp::MINUTE);
                Answer::PortalSessionCreated { url: String::new(), expires_at }
            }
            Effect::RetrieveBilling { customer, .. } => {
                Answer::BillingRetrieved(self.billing(number(customer)))
            }
            effect => panic!("not an effect of a plan: {effect:?}"),
        };
        self.calls[call].at = self.changes;
        self.calls[call].call.answer = Some(answer);
    }

    /// What a customer pays for, and what was paid.
    fn billing(&self, customer: u8) -> Billing {
        let numbered = |(n, paid): (usize, &Paid)| {
            let id = format!("sub_{}", n + 1);
            (paid.customer == customer).then(|| Subscription { id, ..subscription(paid.status) })
        };
        let mut all: Vec<_> = self.subscriptions.iter().enumerate().filter_map(numbered).collect();
        all.retain(|subscription| subscription.status != Status::Ended);
        all.sort_by_key(|subscription| subscription.status != Status::Active);
        let mut all = all.into_iter();
        let invoices = (1..).zip(&self.invoices).filter(|(_, of)| **of == customer);
        Billing {
            subscription: all.next(),
            others: all.map(|other| other.id).collect(),
            paid: invoices.map(|(n, _)| invoice(&format!("in_{n}"))).collect(),
        }
    }

    pub fn answer(&mut self, call: usize) {
        let Reader { call: Call { effect, answer }, at } = self.calls.remove(call);
        if let Some(event) = answer.and_then(|answer| PlanSubscription::on_answer(&effect, &answer))
        {
            self.hear(&event, at);
        }
    }

    /// The newest reading is told from earlier ones by its number, which means nothing else: it is counted as
    /// the first however many there were, and all earlier ones as none, so that there is an end to the states.
    pub fn renumber(&mut self) {
        let Some(known) = known_in(&mut self.run) else { return };
        let newest = std::mem::replace(&mut known.readings, 1);
        for reader in &mut self.calls {
            if let Effect::RetrieveBilling { reading, .. } = &mut reader.call.effect {
                *reading = u32::from(*reading == newest);
            }
        }
    }

    /// What becomes of it when nobody does anything more: at once, and with time.
    pub fn left_alone(&self, moments: &[Timestamp]) -> World {
        let mut world = self.clone();
        for now in moments {
            world.now = world.now.max(*now);
            for _ in 0..4 {
                world.answer_all();
                if world.timer {
                    world.hear(&Event::TimerFired, world.changes);
                }
            }
            world.answer_all();
        }
        world
    }

    fn answer_all(&mut self) {
        while !self.calls.is_empty() {
            if self.calls[0].call.answer.is_none() {
                self.perform(0);
            }
            self.answer(0);
        }
    }

    pub fn agrees_with_stripe(&self) -> bool {
        let paid = self.billing(customer_in(&self.run).unwrap_or_default());
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
        stands && self.plan == Some(plan) && self.posted.is_superset(&posted)
    }

    /// Whether each page is closed that nobody was handed, and each that is for what is subscribed to. A page
    /// of a customer that was given up closes by itself.
    pub fn closes_its_pages(&self) -> bool {
        let customer = customer_in(&self.run);
        let subscribed =
            self.subscriptions.iter().any(|paid| Some(paid.customer) == customer && paid.is_live());
        self.unclosed
            || self.pages.iter().all(|page| match page.door {
                Door::OpenUntil(until) if self.now < until && Some(page.customer) == customer => {
                    page.handed_out && !subscribed
                }
                Door::OpenUntil(_) | Door::Used | Door::Closed => true,
            })
    }

    pub fn manual(&self) -> Option<Plan> {
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

    pub fn looks(&self) -> u8 {
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

fn customer_in(run: &State) -> Option<u8> {
    match run {
        State::Unbilled { .. } | State::CreatingCustomer { .. } => None,
        State::CreatingLink { known }
        | State::AwaitingCheckout { known }
        | State::Subscribed { known }
        | State::PastDue { known }
        | State::Lapsed { known }
        | State::Unsubscribed { known } => Some(number(&known.customer)),
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
