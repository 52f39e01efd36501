//! Open checkouts, as if buyers had been sent to pay, and the webhook that says that they did.

use std::net::SocketAddr;

use entities::{history, rows::Rows, run, statement::execute, together::Together};
use serde_json::{Value, json};
use simulator::{Simulator, SimulatorConfig};
use uuid::Uuid;
use workflows::{
    Timestamp,
    checkout::{Checkout, Event, Order, Request, State},
    id::{CheckoutId, HandleId, PageId, RunId, VisitorId},
    ledger::Sale,
    money::Currency,
    workflow::Workflow,
};

use crate::installation::Installation;

const CHUNK: usize = 2_000;
/// As in the floor: a hundred creators, five hundred pages.
const HANDLES: u128 = 100;
const PAGES: u128 = 500;

/// An open checkout.
#[derive(Clone, Copy)]
pub struct OpenCheckout {
    pub id: CheckoutId,
    pub amount: i64,
}

/// Makes open checkouts.
pub async fn checkouts(installation: &Installation, count: usize) -> Vec<OpenCheckout> {
    let mut made = Vec::with_capacity(count);
    while made.len() < count {
        let chunk: Vec<_> = (made.len()..count.min(made.len() + CHUNK)).map(order).collect();
        insert(installation, &chunk).await;
        made.extend(
            chunk
                .iter()
                .map(|order| OpenCheckout { id: order.sale.checkout, amount: order.sale.amount }),
        );
    }
    made
}

fn order(n: usize) -> Order {
    let n = n as u128;
    let of = |kind: u128, number: u128| {
        Uuid::from_u128((0x0199 << 112) | (7 << 76) | (2 << 62) | (kind << 48) | number)
    };
    let amount = 500 + (n % 5_000) as i64;
    let sale = Sale {
        checkout: CheckoutId(Uuid::now_v7()),
        handle: HandleId(of(1, n * 7_919 % HANDLES)),
        page: PageId(of(2, n % PAGES)),
        campaign: None,
        account: format!("acct_bench{}", n * 7_919 % HANDLES),
        amount,
        fee: amount / 10,
        currency: Currency::USD,
    };
    let visitor = VisitorId(Uuid::now_v7());
    Order { sale, visitor, early_fee: None, interests: Vec::new() }
}

async fn insert(installation: &Installation, orders: &[Order]) {
    let (db, engine) = (installation.engine.database(), &installation.engine);
    let now = engine.clock().local_millis();
    let expires_at = Timestamp::from_millis(now + 12 * Timestamp::HOUR);
    let transaction = db.begin().await.unwrap();
    let runs: Vec<_> = orders.iter().map(new_run).collect();
    run::insert_missing(&transaction, engine.clock(), &runs).await.unwrap();
    let stepped: Vec<_> = orders.iter().map(|order| waiting(order, expires_at, now)).collect();
    let mut together = Together::new(db.dialect());
    run::save(&mut together, &stepped);
    let lines: Vec<_> = orders.iter().flat_map(|order| lines(order, expires_at, now)).collect();
    history::append(&mut together, &lines);
    together.execute(&transaction).await.unwrap();
    let rows = Rows::new()
        .id("id", orders.iter().map(|order| order.sale.checkout.0))
        .id("handle_id", orders.iter().map(|order| order.sale.handle.0))
        .id("page_id", orders.iter().map(|order| order.sale.page.0))
        .id("visitor_id", orders.iter().map(|order| order.visitor.0))
        .number("amount", orders.iter().map(|order| order.sale.amount))
        .number("fee", orders.iter().map(|order| order.sale.fee))
        .text("account", orders.iter().map(|order| order.sale.account.as_str()));
    let sql = format!(
        "INSERT INTO checkout (id, handle_id, page_id, page_version, visitor_id, amount, currency, fee, \
         account, status, expires_at, created_at, updated_at) SELECT id, handle_id, page_id, 1, visitor_id, \
         amount, 'USD', fee, account, 'OPEN', {}, {now}, {now} FROM {} WHERE true",
        expires_at.millis(),
        rows.source(db.dialect(), 1)
    );
    execute(&transaction, &sql, rows.values(db.dialect())).await.unwrap();
    transaction.commit().await.unwrap();
}

fn new_run(order: &Order) -> run::NewRun {
    run::NewRun {
        id: RunId::of(Checkout::NAME, order.sale.checkout.0).0,
        workflow: Checkout::NAME.to_owned(),
        subject: order.sale.checkout.0,
        handle_id: Some(order.sale.handle.0),
    }
}

fn session(order: &Order) -> String {
    format!("cs_test_{}", order.sale.checkout.0.simple())
}

fn waiting(order: &Order, expires_at: Timestamp, now: i64) -> run::Stepped {
    let state =
        State::AwaitingPayment { order: order.clone(), session: session(order), expires_at };
    run::Stepped {
        id: new_run(order).id,
        from_version: 0,
        version: 2,
        state_name: "AwaitingPayment".to_owned(),
        state: serde_json::to_string(&state).unwrap(),
        machine_version: Checkout::VERSION.cast_signed(),
        status: "ACTIVE",
        wake_at: Some(expires_at.plus(Timestamp::MINUTE).millis()),
        updated_at: now,
    }
}

/// The history that leads there, so that it can be replayed.
fn lines(order: &Order, expires_at: Timestamp, now: i64) -> [history::History; 2] {
    let request = Event::Request(Box::new(Request {
        order: order.clone(),
        title: "A page".to_owned(),
        email: "visitor@example.test".to_owned(),
        success_url: "https://sluice.example/ok".to_owned(),
        cancel_url: "https://sluice.example/no".to_owned(),
        expires_at,
    }));
    let created =
        Event::SessionCreated { session: session(order), url: "https://pay.example".to_owned() };
    let line =
        |seq: i64, name: &str, event: &Event, from: Option<&str>, to: &str| history::History {
            run_id: new_run(order).id,
            seq,
            event_name: name.to_owned(),
            event: serde_json::to_string(event).unwrap(),
            from_state: from.map(str::to_owned),
            to_state: Some(to.to_owned()),
            refused: None,
            machine_version: Checkout::VERSION.cast_signed(),
            inbox_seq: None,
            at: now,
        };
    [
        line(1, "Request", &request, None, "CreatingSession"),
        line(2, "SessionCreated", &created, Some("CreatingSession"), "AwaitingPayment"),
    ]
}

/// A `checkout.session.completed` of full size, from the simulator: its ids and amount are replaced.
pub struct Template(Value);

impl Template {
    pub fn event(&self, n: usize, checkout: &OpenCheckout) -> String {
        let mut event = self.0.clone();
        event["id"] = json!(format!("evt_{n}_{}", checkout.id.0.simple()));
        let session = &mut event["data"]["object"];
        session["id"] = json!(format!("cs_test_{}", checkout.id.0.simple()));
        session["payment_intent"] = json!(format!("pi_{}", checkout.id.0.simple()));
        session["amount_total"] = json!(checkout.amount);
        session["metadata"] = json!({ "sluice_checkout": checkout.id.to_string() });
        event.to_string()
    }
}

pub async fn event_template() -> Template {
    let bind = SocketAddr::from(([127, 0, 0, 1], 0));
    let simulator = Simulator::start(SimulatorConfig { bind, ..Default::default() }).await.unwrap();
    let client = reqwest::Client::new();
    let post =
        |path: &str| client.post(format!("{}{path}", simulator.url())).bearer_auth("sk_test_x");
    let form = [
        ("mode", "payment"),
        ("success_url", "https://sluice.example/ok"),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", "usd"),
        ("line_items[0][price_data][unit_amount]", "1000"),
        ("line_items[0][price_data][product_data][name]", "A page"),
    ];
    let session: Value =
        post("/v1/checkout/sessions").form(&form).send().await.unwrap().json().await.unwrap();
    let id = session["id"].as_str().expect("a session");
    let pay = post(&format!("/_sim/checkout/sessions/{id}/pay"));
    pay.json(&json!({ "outcome": "paid" })).send().await.unwrap().error_for_status().unwrap();
    let listed =
        client.get(format!("{}/v1/events?type=checkout.session.completed", simulator.url()));
    let listed: Value = listed.bearer_auth("sk_test_x").send().await.unwrap().json().await.unwrap();
    simulator.shutdown().await.unwrap();
    Template(listed["data"][0].clone())
}
