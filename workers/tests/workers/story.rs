//! Sales from the buyer's request to the creator's earnings, with everything at work that works in a process.

use std::collections::HashSet;

use entities::{earnings, ledger};
use rand::seq::SliceRandom;
use serde_json::json;
use simulator::{ApiFaults, Faults, WebhookFaults};
use workflows::id::{CheckoutId, EffectId};

use crate::{
    http::Http,
    on_both,
    patience::{LONG, until, until_so},
    sim::text,
    world::{FEE, PRICE, World},
};

const FORTY_DAYS: i64 = 40;

on_both! {
    async fn a_sale_from_request_to_earnings(world: World) {
        let workers = world.start_workers(world.performers());
        let (id, session) = world.open_page().await;
        assert!(world.checkout(id).await.url.unwrap().ends_with(&session));
        let intent = text(&world.sim.pay(&session, "paid").await["payment_intent"]);
        world.deliver(&world.events().await).await;
        world.reaches(id, "Settled").await;
        assert_eq!(world.checkout(id).await.payment_intent.as_deref(), Some(intent.as_str()));

        // The buyer gets one mail, the ledger the processor's fee, the creator the earnings.
        let receipt = receipt_of(&world, id).await;
        until_so("the receipt", LONG, async || world.mails() == [receipt.clone()]).await;
        let mail = std::fs::read_to_string(world.mail_directory().join(&receipt)).unwrap();
        assert!(mail.contains("How to count cents") && mail.contains("10.00"), "{mail}");
        until_so("the processor's fee", LONG, async || fees(&world).await == 59).await;
        world.comes_to_rest().await;
        let db = world.engine.database().read();
        let today = world.engine.clock().local_millis() / 86_400_000;
        let earned = earnings::of_handle(db, world.handle.0, today + FORTY_DAYS).await.unwrap();
        let earned = &earned[..1][0];
        assert_eq!((earned.gross, earned.platform_fee, earned.net), (PRICE, FEE, PRICE - FEE));
        assert_eq!((earned.processor_fee, earned.refunded), (59, 0));
        assert_eq!(earned.available, PRICE - FEE, "all of it can be paid out in the end");
        workers.shutdown(LONG).await;
        ledger_equals_stripe(&world).await;
    }

    async fn a_second_purchase_of_the_same_page_is_given_back(world: World) {
        let workers = world.start_workers(world.performers());
        let visitor = world.visitor().await;
        let ids = [world.request_of(visitor).await, world.request_of(visitor).await];
        for id in ids {
            world.reaches(id, "AwaitingPayment").await;
            world.sim.pay(&world.checkout(id).await.session_id.unwrap(), "paid").await;
        }
        world.deliver(&world.events().await).await;
        until_so("one is settled and one given back", LONG, async || {
            let mut states = [world.state(ids[0]).await, world.state(ids[1]).await];
            states.sort();
            states == ["Refunded", "Settled"]
        })
        .await;
        world.deliver(&world.events().await).await;
        until_so("both processor's fees", LONG, async || fees(&world).await == 2 * 59).await;
        until_so("three mails", LONG, async || world.mails().len() == 3).await;
        world.comes_to_rest().await;
        workers.shutdown(LONG).await;
        assert_eq!(world.sim.count("/v1/refunds").await, 1);
        ledger_equals_stripe(&world).await;
    }

    async fn s47_twenty_sales_in_bad_weather(world: World) {
        let api = ApiFaults {
            error_500: 0.1,
            timeout_after_work: 0.05,
            timeout_seconds: 1,
            ..ApiFaults::default()
        };
        let webhooks = WebhookFaults { duplicate: 1.0, reorder: 0.3, ..WebhookFaults::default() };
        world.sim.faults(Faults { seed: Some(7), api, webhooks, ..Faults::default() });
        let webhooks = Http::start().await;
        world.sim.tells(&webhooks.url);
        let workers = world.start_workers(world.performers());
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(world.request().await);
        }
        let mut paid = HashSet::new();
        until_so("all twenty are settled", 2 * LONG, async || {
            // Time flies: a 500 of Stripe's is looked up for a minute before another key is used.
            world.pass(2).await;
            pay_open_pages(&world, &ids, &mut paid).await;
            deliver_shuffled(&world, &webhooks).await;
            all_settled(&world, &ids).await
        })
        .await;
        world.sim.no_faults();
        until_so("twenty processor's fees", LONG, async || fees(&world).await == 20 * 59).await;
        until_so("twenty receipts", LONG, async || world.mails().len() == 20).await;
        world.comes_to_rest().await;
        workers.shutdown(LONG).await;
        assert_eq!(world.sim.count("/v1/checkout/sessions").await, 20, "one session a purchase");
        assert_eq!(world.sim.count("/v1/charges").await, 20);
        let mut receipts = Vec::new();
        for id in ids {
            receipts.push(receipt_of(&world, id).await);
        }
        receipts.sort();
        assert_eq!(world.mails(), receipts, "one mail a sale, and no drafts");
        ledger_equals_stripe(&world).await;
    }
}

/// The name of the file that the receipt is written to.
async fn receipt_of(world: &World, id: CheckoutId) -> String {
    let name = async || {
        let mail = world.effects(id).await.into_iter().find(|effect| effect.kind == "send_mail")?;
        Some(format!("{}.eml", EffectId(mail.id)))
    };
    until("the receipt is asked for", LONG, name).await
}

async fn fees(world: &World) -> i64 {
    posted(world, "processor_fee", "processor_fee").await
}

async fn posted(world: &World, kind: &str, account: &str) -> i64 {
    let db = world.engine.database().read();
    let balances = ledger::balances_by_kind_any_handle(db).await.unwrap();
    balances
        .iter()
        .filter(|row| row.kind == kind && row.account.starts_with(account))
        .map(|row| row.balance)
        .sum()
}

async fn pay_open_pages(world: &World, ids: &[CheckoutId], paid: &mut HashSet<String>) {
    for id in ids {
        let Some(session) = world.checkout(*id).await.session_id else { continue };
        if paid.insert(session.clone()) {
            world.sim.pay(&session, "paid").await;
        }
    }
}

/// What has come in since, each event twice or more, in no order.
async fn deliver_shuffled(world: &World, webhooks: &Http) {
    let mut events: Vec<_> = webhooks.news().into_iter().map(|asked| asked.json).collect();
    events.shuffle(&mut rand::rng());
    world.deliver(&events).await;
}

async fn all_settled(world: &World, ids: &[CheckoutId]) -> bool {
    for id in ids {
        if world.state(*id).await != "Settled" {
            return false;
        }
    }
    true
}

/// Invariant I8, to the cent.
pub async fn ledger_equals_stripe(world: &World) {
    let summary = world.sim.summary().await;
    let totals = &summary["platform"]["usd"];
    let paid = posted(world, "paid", "stripe").await;
    assert_eq!(totals["paid"], json!(paid));
    assert_eq!(totals["refunded"], json!(-posted(world, "refund", "stripe").await));
    assert_eq!(totals["processor_fees"], json!(fees(world).await));
    let db = world.engine.database().read();
    let balances = ledger::balances_any_handle(db).await.unwrap();
    let balance = |account: &str| {
        let row = balances.iter().find(|row| row.account == account);
        row.map_or(0, |row| row.balance)
    };
    assert_eq!(totals["application_fees"]["net"], json!(-balance("platform_fee")));
    let creator = balance(&format!("creator:{}", world.account));
    // What lies at Stripe, without what was passed on to the creator.
    assert_eq!(totals["balance"], json!(balance("stripe") + creator), "{summary}");
    let of_account = &summary["accounts"][&world.account]["usd"];
    let passed_on = of_account["transfers"]["net"].as_i64().unwrap()
        - of_account["application_fees"]["net"].as_i64().unwrap();
    assert_eq!(passed_on, -creator, "what the creator has");
    assert_eq!(world.engine.check().await.unwrap(), []);
}
