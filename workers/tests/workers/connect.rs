//! Connected accounts with everything at work: what becomes of purchases when a creator's account is lost, and
//! of the account when nobody says a word.

use engine::{Awaited, Letter};
use entities::{
    checkout::{self, Checkout},
    connect_account, connect_account_past, ledger,
    statement::{Number, query_one},
};
use serde_json::{Value, json};
use uuid::Uuid;
use workers::Workers;
use workflows::{
    Timestamp,
    connect_onboarding::{ConnectOnboarding, Event, Onboard},
    effect::{LinkRequest, OnboardingUrls},
    id::{CheckoutId, OnboardingLinkId, RunId},
    message::Message,
    workflow::Workflow,
};

use crate::{
    on_both,
    patience::{LONG, until_so},
    sim::text,
    world::World,
};

impl World {
    /// Something happens to the creator's onboarding.
    async fn tell(&self, event: Event) {
        let letter = Letter {
            source: "test",
            source_id: Uuid::now_v7().to_string(),
            message: Message::ConnectOnboarding(self.handle, event),
            handle: Some(self.handle),
        };
        let sent = self.engine.send(self.engine.database().write(), letter).await.unwrap();
        self.engine.wake(sent.wake_up);
    }

    async fn onboarding_reaches(&self, state: &str) {
        let run = RunId::of(ConnectOnboarding::NAME, self.handle.0);
        let awaited = self.engine.wait(run, LONG, |run| run.state_name == state).await.unwrap();
        if let Awaited::Elapsed(last) = awaited {
            panic!("the onboarding is not {state}, but {:?}", last.map(|run| run.state_name));
        }
    }

    async fn connect_account(&self) -> connect_account::ConnectAccount {
        let db = self.engine.database().read();
        connect_account::of_handle(db, self.handle.0).await.unwrap().unwrap()
    }

    /// The creator asks for the form, fills it in, and can sell.
    pub async fn connect(&mut self) {
        let urls = OnboardingUrls {
            return_url: "https://sluice.test/done".to_owned(),
            refresh_url: "https://sluice.test/again?token={token}".to_owned(),
        };
        let request = LinkRequest {
            id: OnboardingLinkId(Uuid::now_v7()),
            subject: "maria".to_owned(),
            proven_at: None,
        };
        let wish = Onboard { handle: self.handle, country: None, request, urls };
        self.tell(Event::Onboard(Box::new(wish))).await;
        self.onboarding_reaches("AwaitingCreator").await;
        until_so("the form was read", LONG, async || {
            self.connect_account().await.requirements.contains("external_account")
        })
        .await;
        self.account = self.connect_account().await.account_id.unwrap();
        self.sim.complete(&self.account).await;
        self.tell(Event::AccountChanged).await;
        self.onboarding_reaches("Connected").await;
    }

    async fn change_account(&self, change: Value) {
        self.sim.control(&format!("accounts/{}", self.account), change).await;
    }

    async fn number(&self, sql: &str) -> i64 {
        let found: Option<Number> =
            query_one(self.engine.database().read(), sql, vec![]).await.unwrap();
        found.unwrap().number
    }

    async fn balance(&self, account: &str) -> i64 {
        let balances = ledger::balances_any_handle(self.engine.database().read()).await.unwrap();
        balances.iter().filter(|row| row.account == account).map(|row| row.balance).sum()
    }

    fn works(&self) -> Workers {
        self.start_workers(self.performers())
    }
}

async fn status_at_stripe(world: &World, session: &str) -> String {
    text(&world.sim.get(&format!("/v1/checkout/sessions/{session}")).await["status"])
}

on_both! {
    async fn s30_open_pages_are_closed_at_stripe_and_paid_ones_settled(world: World) {
        let mut world = world;
        let workers = world.works();
        world.connect().await;
        let (open, open_session) = world.open_page().await;
        let (paid, paid_session) = world.open_page().await;
        // Stripe has the money, and nobody has said so yet.
        world.sim.pay(&paid_session, "paid").await;
        world.change_account(json!({ "disabled_reason": "requirements.past_due",
            "past_due": ["individual.id_number"] })).await;
        world.tell(Event::AccountChanged).await;
        world.onboarding_reaches("Restricted").await;
        world.reaches(open, "Cancelled").await;
        world.reaches(paid, "Settled").await;
        assert_eq!(status_at_stripe(&world, &open_session).await, "expired");
        let closed = world.checkout(open).await;
        assert_eq!((closed.status.as_str(), closed.reason.as_deref()), ("EXPIRED", Some("seller_lost")));
        world.comes_to_rest().await;
        workers.shutdown(LONG).await;
    }

    async fn s31_what_was_sold_through_the_earlier_account_is_reversed_through_it(world: World) {
        let mut world = world;
        let workers = world.works();
        world.connect().await;
        let earlier = world.account.clone();
        let visitor = world.visitor().await;
        let ids = [world.request_of(visitor).await, world.request_of(visitor).await];
        for id in ids {
            world.reaches(id, "AwaitingPayment").await;
            world.sim.pay(&world.checkout(id).await.session_id.unwrap(), "paid").await;
        }
        let paid = world.events().await;

        world.change_account(json!({ "deauthorize": true })).await;
        world.tell(Event::Deauthorized { account: earlier.clone() }).await;
        world.onboarding_reaches("Disconnected").await;
        world.connect().await;
        assert_ne!(world.account, earlier);
        let db = world.engine.database().read();
        let past = connect_account_past::of_handle(db, world.handle.0).await.unwrap();
        assert_eq!(past.iter().map(|past| &past.account_id).collect::<Vec<_>>(), [&earlier]);

        // Both were paid to the earlier account: one is granted, the other given back from there.
        world.deliver(&paid).await;
        until_so("one is settled and one given back", LONG, async || {
            let mut states = [world.state(ids[0]).await, world.state(ids[1]).await];
            states.sort();
            states == ["Refunded", "Settled"]
        })
        .await;
        world.comes_to_rest().await;
        workers.shutdown(LONG).await;
        let of_earlier = world.balance(&format!("creator:{earlier}")).await;
        assert_eq!(of_earlier, -(crate::world::PRICE - crate::world::FEE));
        assert_eq!(world.balance(&format!("creator:{}", world.account)).await, 0);
        let summary = world.sim.summary().await;
        let net = &summary["accounts"][&earlier]["usd"]["transfers"]["net"];
        assert_eq!(net, &json!(crate::world::PRICE), "{summary}");
    }

    async fn s33_a_change_without_an_event_is_found_by_the_scheduled_reading(world: World) {
        let mut world = world;
        let workers = world.works();
        world.connect().await;
        world.change_account(json!({ "disabled_reason": "rejected.fraud", "silent": true })).await;
        world.pass(25 * 3_600).await;
        world.onboarding_reaches("Rejected").await;
        workers.shutdown(LONG).await;
    }

    async fn s33_a_deadline_that_passes_is_found_by_the_scheduled_reading(world: World) {
        let mut world = world;
        let workers = world.works();
        world.connect().await;
        let now = world.engine.clock().local_millis() / 1_000;
        world.change_account(json!({ "currently_due": ["individual.id_number"],
            "current_deadline": now + 3_600 })).await;
        world.tell(Event::AccountChanged).await;
        until_so("the deadline is known", LONG, async || {
            world.connect_account().await.requirements.contains("individual.id_number")
        })
        .await;
        assert_eq!(world.connect_account().await.status, "CONNECTED");
        world.pass(25 * 3_600).await;
        world.onboarding_reaches("Restricted").await;
        workers.shutdown(LONG).await;
    }

    async fn s30_however_many_purchases_are_open_each_is_told_once(world: World) {
        let mut world = world;
        let workers = world.works();
        world.connect().await;
        let now = world.engine.clock().local_millis();
        let other = |account: &str| account.to_owned();
        let rows = (0..1_203).map(|n| match n {
            // Another account's, one that is closed, one from before yesterday.
            0 => row(&world, now, other("acct_other"), "OPEN"),
            1 => row(&world, now, world.account.clone(), "SETTLED"),
            2 => row(&world, now - 2 * Timestamp::DAY, world.account.clone(), "OPEN"),
            _ => row(&world, now, world.account.clone(), "OPEN"),
        });
        let transaction = world.engine.database().begin().await.unwrap();
        for row in rows {
            checkout::insert(&transaction, &row).await.unwrap();
        }
        transaction.commit().await.unwrap();
        world.change_account(json!({ "deauthorize": true })).await;
        world.tell(Event::Deauthorized { account: world.account.clone() }).await;
        world.onboarding_reaches("Disconnected").await;
        let told = "SELECT count(*) AS number FROM inbox WHERE source = 'seller_lost'";
        until_so("all are told", LONG, async || world.number(told).await >= 1_200).await;
        let pages = "SELECT count(*) AS number FROM outbox WHERE kind = 'close_checkouts' \
                     AND status = 'DONE'";
        until_so("the last page is done", LONG, async || world.number(pages).await == 3).await;
        assert_eq!(world.number(told).await, 1_200);
        let once = "SELECT count(DISTINCT subject) AS number FROM inbox WHERE source = 'seller_lost'";
        assert_eq!(world.number(once).await, 1_200);
        workers.shutdown(LONG).await;
    }
}

/// A purchase's row that was made at a moment. Nobody has heard of it.
fn row(world: &World, at: i64, account: String, status: &str) -> Checkout {
    let seconds = u64::try_from(at / 1_000).unwrap();
    let made = uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0);
    let id = CheckoutId(Uuid::new_v7(made));
    Checkout {
        id: id.0,
        handle_id: world.handle.0,
        page_id: world.page.0,
        page_version: 1,
        visitor_id: Uuid::now_v7(),
        campaign: None,
        amount: crate::world::PRICE,
        currency: "USD".to_owned(),
        fee: crate::world::FEE,
        account,
        status: status.to_owned(),
        session_id: None,
        url: None,
        payment_intent: None,
        reason: None,
        expires_at: at + 12 * Timestamp::HOUR,
        created_at: at,
        updated_at: at,
    }
}
