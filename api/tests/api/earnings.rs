//! Earnings as a creator sees them: figures, balance, ranges, tables, what explains them, and payouts.

use entities::{handle, ledger as table, ledger::NewTransaction, page, together::Together};
use serde_json::{Value, json};
use uuid::Uuid;
use workflows::{
    Timestamp,
    id::{CheckoutId, HandleId, PageId, PayoutId, RunId},
    ledger::{self, About, Kind, Moved, Sale, Share, Transaction},
    money::Currency,
    stripe::{BalanceTransaction, Dispute, DisputeStatus, Payout, PayoutStatus},
};

use crate::{
    client::Seen,
    on_both,
    stripe::event,
    world::{CONNECT_SECRET, World, token},
};

const EARNINGS: &str = "/v2/handles/alice/earnings";
const EXPLAIN: &str = "/v2/handles/alice/earnings/explain";
const PAYOUTS: &str = "/v2/handles/alice/payouts";
const CONNECT_HOOK: &str = "/v2/public/stripe/connect-webhook";

async fn handle_id(world: &World) -> HandleId {
    let db = world.engine.database().read();
    HandleId(handle::find_by_name(db, "alice").await.unwrap().unwrap().id)
}

async fn sale(world: &World, slug: &str, campaign: Option<&str>, currency: Currency) -> Sale {
    let handle = handle_id(world).await;
    let page = page::find(world.engine.database().read(), handle.0, slug).await.unwrap().unwrap();
    Sale {
        checkout: CheckoutId(Uuid::now_v7()),
        handle,
        page: PageId(page.id),
        campaign: campaign.map(str::to_owned),
        account: "acct_1".to_owned(),
        amount: 1_000,
        fee: 50,
        currency,
    }
}

/// Posts transactions at a moment, as the engine does.
async fn post(world: &World, at: Timestamp, postings: &[Transaction]) {
    let row = |posting: &Transaction| {
        let (handle, sale) = match &posting.about {
            About::Sale(sale) => (sale.handle.0, Some(sale)),
            About::Plan(handle) | About::Balance(handle) => (handle.0, None),
            About::Platform => (Uuid::nil(), None),
        };
        NewTransaction {
            key: format!("{}:{}", posting.key, Uuid::now_v7()),
            kind: posting.kind.into(),
            currency: posting.currency.into(),
            handle_id: handle,
            checkout_id: sale.map(|sale| sale.checkout.0),
            page_id: sale.map(|sale| sale.page.0),
            campaign: sale.and_then(|sale| sale.campaign.clone()),
            stripe_object: posting.stripe_object.clone(),
            available_at: posting.available.map(|available| available.at.millis()),
            available_amount: posting.available.map_or(0, |available| available.amount),
            at: at.millis(),
            entries: posting.entries.iter().map(|e| (e.account.to_string(), e.amount)).collect(),
        }
    };
    let rows: Vec<_> = postings.iter().map(row).collect();
    let transaction = world.engine.database().begin().await.unwrap();
    let mut together = Together::new(world.engine.database().dialect());
    table::post(&transaction, &mut together, &rows).await.unwrap();
    together.execute(&transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

fn sold(sale: &Sale, available_on: Timestamp) -> Vec<Transaction> {
    let currency = sale.currency;
    let fee = BalanceTransaction {
        id: "txn_1".to_owned(),
        amount: 1_000,
        fee: 59,
        currency,
        available_on,
    };
    vec![
        ledger::paid(sale, Kind::Paid, "pi_1", 1_000, currency),
        ledger::processor_fee(sale, &fee, 950),
    ]
}

fn dispute(withdrawn: i64) -> Dispute {
    Dispute {
        id: "dp_1".to_owned(),
        amount: withdrawn,
        status: DisputeStatus::Lost,
        reason: "fraudulent".to_owned(),
        withdrawn,
        fee: 1_500,
        reinstated: 0,
        fee_reinstated: 0,
        currency: workflows::money::Currency::USD,
        evidence_due: None,
    }
}

async fn rolled_up(world: &World) {
    world.engine.clock().advance(6_000);
    world.engine.sweep(&engine::wake::NoWakeups).await.unwrap();
    world.settle().await;
}

async fn get(world: &World, path: &str) -> Seen {
    world.get(path).bearer(token("alice")).send().await
}

/// Days: 0 is today, -1 is yesterday.
fn day(world: &World, days: i64) -> Timestamp {
    Timestamp::from_millis(world.engine.clock().local_millis() + days * Timestamp::DAY)
}

fn date(at: Timestamp) -> String {
    let moment = time::OffsetDateTime::from_unix_timestamp(at.secs()).unwrap();
    moment.date().to_string()
}

/// Two pages, a campaign, two currencies; a sale, one given back, one charged back above its price.
async fn history(world: &World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    world.page("alice", "notes").await;
    let (old, yesterday, today) = (day(world, -10), day(world, -1), day(world, 0));
    let kept = sale(world, "guide", Some("spring"), Currency::USD).await;
    post(world, old, &sold(&kept, day(world, -3))).await;
    let returned = sale(world, "guide", None, Currency::USD).await;
    post(world, yesterday, &sold(&returned, day(world, 5))).await;
    let whole = Share { reversed: 1_000, fee: 50 };
    let refund = workflows::ledger::reversed(&returned, "tr_1", "trr_of_tr_1", whole, today);
    post(world, today, &[refund]).await;
    let lost = sale(world, "notes", None, Currency::USD).await;
    post(world, yesterday, &sold(&lost, day(world, -1))).await;
    let taken = [
        ledger::dispute_withdrawn(&lost, &dispute(1_200), Moved::default()),
        ledger::reversed(&lost, "tr_2", "trr_of_tr_2", whole, today),
        ledger::dispute_lost(&lost, &dispute(1_200), 1_200, 0),
    ];
    post(world, today, &taken).await;
    let elsewhere = sale(world, "notes", Some("=cmd()"), Currency::parse("EUR").unwrap()).await;
    post(world, today, &sold(&elsewhere, day(world, 7))).await;
    let paid = |id: &str, amount| Payout {
        id: id.to_owned(),
        amount,
        currency: Currency::USD,
        status: PayoutStatus::Paid,
        arrives: today,
        failure: None,
    };
    let payout = ledger::payout(kept.handle, "acct_1", &paid("po_1", 400));
    post(world, today, &[payout]).await;
    rolled_up(world).await;
}

fn figures(seen: &Value, names: &[&str]) -> Vec<i64> {
    names
        .iter()
        .map(|name| seen[name].as_i64().unwrap_or_else(|| panic!("{name}: {seen}")))
        .collect()
}

const FIGURES: [&str; 6] = [
    "grossCents",
    "platformFeeCents",
    "processorFeeCents",
    "refundedCents",
    "disputedCents",
    "netCents",
];

/// All pages of an explanation.
async fn explained(world: &World, query: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("{EXPLAIN}?limit=2&{query}{cursor}");
        let page = get(world, &path).await.expect(200);
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 2);
        all.extend(data.iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn summed(explained: &[Value]) -> Vec<i64> {
    let one = |transaction: &Value| figures(&transaction["effect"], &FIGURES);
    let all = explained.iter().map(one);
    all.fold(vec![0; 6], |sum, one| sum.iter().zip(one).map(|(a, b)| a + b).collect())
}

on_both! {

async fn the_balance_is_what_is_left_of_sales_after_payouts(world: World) {
    history(&world).await;
    let seen = get(&world, EARNINGS).await.expect(200);
    assert_eq!(seen["currency"], "EUR", "the first one");
    let seen = get(&world, &format!("{EARNINGS}?currency=USD")).await.expect(200);
    assert_eq!(seen["currencies"], json!(["EUR", "USD"]));
    // 3 sales; one was taken back with its fee and is owed again, one was lost above its price.
    assert_eq!(figures(&seen, &FIGURES), [3_000, 50, 177, 0, 1_200, 1_750]);
    let names = ["balanceCents", "receivableCents", "paidOutCents"];
    assert_eq!(figures(&seen, &names), [1_350, 0, 400]);
    let now = figures(&seen, &["pendingSettlementCents", "availableCents"]);
    assert_eq!(now.iter().sum::<i64>(), 1_750);
    assert_eq!(seen["upToDate"], true);
    assert_eq!(seen.get("days"), None, "without a range");
    let notes = seen["pages"].as_array().unwrap().iter().find(|page| page["pageSlug"] == "notes");
    assert_eq!(figures(notes.unwrap(), &["netCents", "disputedCents"]), [-200, 1_200]);
}

async fn what_is_owed_is_shown_and_lowers_the_balance(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let lost = sale(&world, "guide", None, Currency::USD).await;
    let mut postings = sold(&lost, day(&world, -1));
    postings.push(ledger::dispute_withdrawn(&lost, &dispute(1_000), Moved::default()));
    post(&world, day(&world, 0), &postings).await;
    rolled_up(&world).await;
    let names = ["balanceCents", "receivableCents", "paidOutCents", "availableCents", "pendingSettlementCents"];
    let held = get(&world, EARNINGS).await.expect(200);
    assert_eq!(figures(&held, &names), [-50, 0, 0, -50, 0]);
    post(&world, day(&world, 0), &[ledger::dispute_lost(&lost, &dispute(1_000), 1_000, 0)]).await;
    let behind = get(&world, EARNINGS).await.expect(200);
    assert_eq!((&behind["upToDate"], &behind["receivableCents"]), (&json!(false), &json!(0)));
    rolled_up(&world).await;
    let owed = get(&world, EARNINGS).await.expect(200);
    assert_eq!(figures(&owed, &names), [-50, 1_000, 0, -50, 0]);
    assert_eq!(owed["upToDate"], true);
}

async fn a_range_counts_what_was_posted_on_its_days(world: World) {
    history(&world).await;
    let (old, yesterday, today) = (date(day(&world, -10)), date(day(&world, -1)), date(day(&world, 0)));
    let asked = async |from: &str, to: &str| {
        let path = format!("{EARNINGS}?currency=USD&from={from}&to={to}");
        get(&world, &path).await.expect(200)
    };
    let all = get(&world, &format!("{EARNINGS}?currency=USD")).await.expect(200);
    let first = asked(&old, &old).await;
    assert_eq!(figures(&first, &FIGURES), [1_000, 50, 59, 0, 0, 950]);
    let day = |date: &str, amounts: [i64; 6]| {
        let mut day = json!({"date": date});
        for (name, amount) in FIGURES.iter().zip(amounts) {
            day[name] = json!(amount);
        }
        day
    };
    assert_eq!(first["days"], json!([day(&old, [1_000, 50, 59, 0, 0, 950])]));
    let last = asked(&yesterday, &today).await;
    assert_eq!(figures(&last, &FIGURES), [2_000, 0, 118, 0, 1_200, 800]);
    let days = [
        day(&yesterday, [2_000, 100, 118, 0, 0, 1_900]),
        day(&today, [0, -100, 0, 0, 1_200, -1_100]),
    ];
    assert_eq!(last["days"], json!(days));
    for name in ["balanceCents", "paidOutCents", "availableCents", "pendingSettlementCents"] {
        assert_eq!(last[name], all[name], "{name} is as it stands now");
    }
    let open = get(&world, &format!("{EARNINGS}?currency=USD&to={yesterday}")).await.expect(200);
    assert_eq!(figures(&open, &["grossCents"]), [3_000]);
    let none = asked("2001-01-01", "2001-01-31").await;
    assert_eq!((&none["grossCents"], &none["days"]), (&json!(0), &json!([])));
}

async fn a_table_has_a_row_for_each_page_campaign_and_currency(world: World) {
    history(&world).await;
    let table = async |query: &str| {
        let call = world.get(format!("{EARNINGS}{query}")).bearer(token("alice"));
        call.header("accept", "text/csv").send().await
    };
    let seen = table("").await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!(seen.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(seen.header("vary"), Some("Accept"));
    let disposition = seen.header("content-disposition").unwrap();
    assert_eq!(disposition, "attachment; filename=\"earnings-alice.csv\"");
    let lines: Vec<_> = seen.text.lines().collect();
    let header = "pageId,pageSlug,campaignId,currency,grossCents,platformFeeCents,processorFeeCents,\
                  refundedCents,disputedCents,netCents,pendingSettlementCents,availableCents";
    assert_eq!(lines[0], header);
    let mut rows: Vec<_> = lines[1..].iter().map(|line| line.split_once(',').unwrap().1).collect();
    rows.sort_unstable();
    assert_eq!(rows, [
        "guide,,USD,1000,0,59,0,0,1000,950,50",
        "guide,spring,USD,1000,50,59,0,0,950,0,950",
        "notes,'=cmd(),EUR,1000,50,59,0,0,950,950,0",
        "notes,,USD,1000,0,59,0,1200,-200,0,-200",
    ]);
    assert_eq!(table("?currency=EUR").await.text.lines().count(), 2);
    let range = format!("?currency=USD&from={}", date(day(&world, 0)));
    let narrowed = table(&range).await;
    assert!(narrowed.text.contains("notes,,USD,0,-50,0,0,1200,-1150,0,-200"), "{}", narrowed.text);
    // A problem stays a problem.
    table("?from=soon").await.problem(400, "invalid_request");
    let stranger = world.get(EARNINGS).bearer(token("mallory")).header("accept", "text/csv");
    stranger.send().await.problem(403, "forbidden");
}

async fn every_figure_is_the_sum_of_what_explains_it(world: World) {
    history(&world).await;
    for currency in ["USD", "EUR"] {
        let path = format!("{EARNINGS}?currency={currency}");
        let seen = get(&world, &path).await.expect(200);
        let all = explained(&world, &format!("currency={currency}")).await;
        assert_eq!(summed(&all), figures(&seen, &FIGURES), "{currency}");
        for page in seen["pages"].as_array().unwrap() {
            let slug = page["pageSlug"].as_str().unwrap();
            let query = format!("currency={currency}&pageSlug={slug}");
            assert_eq!(summed(&explained(&world, &query).await), figures(page, &FIGURES), "{slug}");
        }
        for campaign in seen["campaigns"].as_array().unwrap() {
            let id = campaign["campaignId"].as_str().unwrap_or("").replace('=', "%3D");
            let query = format!("currency={currency}&campaignId={id}");
            assert_eq!(summed(&explained(&world, &query).await), figures(campaign, &FIGURES), "{id}");
        }
        let names = ["gross", "platformFee", "processorFee", "refunded", "disputed", "net"];
        for (place, name) in names.iter().enumerate() {
            let query = format!("currency={currency}&figure={name}");
            let some = explained(&world, &query).await;
            assert_eq!(summed(&some)[place], figures(&seen, &FIGURES)[place], "{name}");
            assert!(*name == "net" || some.len() < all.len(), "{name} narrows nothing down");
        }
    }
    let disputed = explained(&world, "figure=disputed").await;
    let [taken] = &disputed[..] else { panic!("{disputed:?}") };
    assert_eq!((&taken["kind"], &taken["stripeObject"]), (&json!("dispute_withdrawn"), &json!("dp_1")));
    let accounts = taken["entries"].as_array().unwrap();
    assert_eq!(accounts.iter().map(|entry| entry["amountCents"].as_i64().unwrap()).sum::<i64>(), 0);
    assert!(accounts[0]["account"].as_str().unwrap().starts_with("dispute_hold:hndl_"), "{taken}");
    let checkout = taken["checkoutId"].as_str().unwrap();
    let run = RunId::of("checkout", checkout.parse::<CheckoutId>().unwrap().0);
    assert_eq!(taken["runId"], run.to_string());
    let of_purchase = explained(&world, &format!("checkoutId={checkout}")).await;
    let kinds: Vec<_> = of_purchase.iter().map(|t| t["kind"].as_str().unwrap()).collect();
    let mut sorted = kinds.clone();
    sorted.sort_unstable();
    let expected =
        ["dispute_lost", "dispute_withdrawn", "paid", "processor_fee", "transfer_reversed"];
    assert_eq!(sorted, expected);
    assert!(kinds[3..].contains(&"paid"), "the newest first: {kinds:?}");
    // Another handle's purchases are nobody else's.
    world.handle("bobs").await;
    let path = format!("/v2/handles/bobs/earnings/explain?checkoutId={checkout}");
    assert_eq!(get(&world, &path).await.expect(200)["data"], json!([]));
}

async fn a_real_purchase_is_explained_with_what_stripe_calls_it(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let cookie = world.visitor("reader@example.test").await;
    let bought = world.buy(&cookie, "alice", "guide").await;
    let id = bought.expect(200)["checkoutId"].as_str().unwrap().to_owned();
    world.settle().await;
    world.webhook(&crate::stripe::paid("evt_1", &id, 1_000)).await.expect(200);
    world.settle().await;
    let all = explained(&world, &format!("checkoutId={id}&figure=gross")).await;
    let [paid] = &all[..] else { panic!("{all:?}") };
    let intent = paid["paymentIntent"].as_str().unwrap();
    assert_eq!((paid["stripeObject"].as_str(), &paid["checkoutId"]), (Some(intent), &json!(id)));
    assert!(paid["checkoutSession"].as_str().unwrap().starts_with("cs_"), "{paid}");
    assert_eq!(paid["key"], format!("paid:{intent}"));
}

async fn payouts_are_followed_from_stripes_events(world: World) {
    world.seller("alice").await;
    let handle = handle_id(&world).await;
    let told = async |event_id: &str, kind: &str, id: &str, status: &str| {
        let payout = json!({
            "id": id, "object": "payout", "amount": 700, "currency": "usd", "status": status,
            "arrival_date": 1_900_000_000,
            "failure_message": if status == "failed" { json!("The account was closed.") } else { json!(null) },
        });
        let mut event = event(event_id, kind, payout);
        let connect = "/v2/handles/alice/connect/status";
        let account = get(&world, connect).await.expect(200)["accountId"].clone();
        event["account"] = account;
        world.signed(CONNECT_HOOK, CONNECT_SECRET, &event).await.expect(200);
        world.settle().await;
    };
    // That it was paid is heard before that it was made.
    told("evt_2", "payout.paid", "po_1", "paid").await;
    told("evt_1", "payout.created", "po_1", "pending").await;
    told("evt_3", "payout.created", "po_2", "pending").await;
    told("evt_4", "payout.paid", "po_3", "paid").await;
    told("evt_5", "payout.failed", "po_3", "failed").await;
    let listed = get(&world, PAYOUTS).await.expect(200);
    let rows: Vec<_> = listed["data"].as_array().unwrap().iter()
        .map(|row| (row["stripePayout"].as_str().unwrap(), row["status"].as_str().unwrap())).collect();
    assert_eq!(rows, [("po_3", "FAILED"), ("po_2", "PENDING"), ("po_1", "PAID")]);
    let newest = &listed["data"][0];
    assert_eq!(newest["id"], PayoutId::of(handle, "po_3").to_string());
    assert_eq!(newest["failure"], "The account was closed.");
    assert_eq!((&newest["amountCents"], &newest["currency"]), (&json!(700), &json!("USD")));
    assert_eq!(newest["arrivesAt"], "2030-03-17T17:46:40Z");
    let first = get(&world, &format!("{PAYOUTS}?limit=2")).await.expect(200);
    let next = first["nextCursor"].as_str().unwrap();
    let second = get(&world, &format!("{PAYOUTS}?limit=2&cursor={next}")).await.expect(200);
    assert_eq!(second["data"][0]["stripePayout"], "po_1");
    assert_eq!(second["nextCursor"], json!(null));
    // One payout stands; the other came back. The run is the handle's: its members may follow it.
    let seen = get(&world, &format!("{EARNINGS}?currency=USD")).await.expect(200);
    assert_eq!(figures(&seen, &["paidOutCents", "balanceCents"]), [700, -700]);
    let run = get(&world, &format!("/v2/runs/{}", newest["runId"].as_str().unwrap())).await.expect(200);
    assert_eq!((&run["workflow"], &run["state"]), (&json!("payout"), &json!("Failed")));
    assert_eq!(run["subject"], newest["id"]);
}

async fn the_platforms_own_payouts_are_in_no_list(world: World) {
    world.seller("alice").await;
    let payout = json!({
        "id": "po_9", "object": "payout", "amount": 70, "currency": "usd", "status": "paid",
        "arrival_date": 1_900_000_000,
    });
    world.webhook(&event("evt_9", "payout.paid", payout)).await.expect(200);
    world.settle().await;
    assert_eq!(get(&world, PAYOUTS).await.expect(200)["data"], json!([]));
    let balances = table::balances_any_handle(world.engine.database().read()).await.unwrap();
    let found: Vec<_> = balances.iter().map(|b| (b.account.as_str(), b.balance)).collect();
    assert_eq!(found, [("bank", 70), ("stripe", -70)]);
}

}
