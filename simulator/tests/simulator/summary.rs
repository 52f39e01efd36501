use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Sim, as_account, text};

#[tokio::test]
async fn it_adds_up() {
    let sim = Sim::start().await;
    let (a, b) = (sim.account().await, sim.account().await);
    let charge = sim.paid(10_000, Some((&a, 1_000))).await;
    sim.paid(5_000, Some((&a, 500))).await;
    sim.paid(2_000, Some((&b, 0))).await;
    sim.paid(1_000, None).await;
    let declined = sim.session(700, None).await;
    sim.play(&declined, json!({ "outcome": "declined" })).await.ok();
    let form = format!(
        "charge={}&amount=4000&reverse_transfer=true&refund_application_fee=true",
        text(&charge["id"])
    );
    sim.post("/v1/refunds", &form).await.ok();

    let summary = sim.summary().await;
    assert_eq!(
        summary["accounts"][&a]["eur"],
        json!({
            "paid": 15_000, "refunded": 4_000, "refunding": 0,
            "disputed": 0, "dispute_fees": 0, "disputes": { "open": 0, "won": 0, "lost": 0 },
            "application_fees": { "gross": 1_500, "refunded": 400, "net": 1_100 },
            "transfers": { "gross": 15_000, "reversed": 4_000, "net": 11_000 },
            "processor_fees": 320 + 175, "charges": 2, "refunds": 1,
            "payouts": { "paid": 0, "pending": 0 }, "balance": 11_000 - 1_100,
        })
    );
    assert_eq!(summary["accounts"][&b]["eur"]["application_fees"]["gross"], 0);
    assert_eq!(summary["accounts"]["platform"]["eur"]["paid"], 1_000);
    let platform = &summary["platform"]["eur"];
    assert_eq!(platform["paid"], 18_000);
    let number =
        |path: &[&str]| path.iter().fold(platform, |value, name| &value[*name]).as_i64().unwrap();
    assert_eq!(
        number(&["balance"]),
        number(&["paid"])
            - number(&["refunded"])
            - number(&["processor_fees"])
            - number(&["transfers", "net"])
            + number(&["application_fees", "net"])
    );
    assert_eq!(summary["counts"]["sessions_open"], 1);
    assert_eq!(summary["counts"]["sessions_complete"], 4);
    assert_eq!(summary["counts"]["charges_failed"], 1);

    let movements = sim.get("/v1/balance_transactions?limit=100").await.ok();
    let nets = movements["data"].as_array().unwrap().iter().map(|m| m["net"].as_i64().unwrap());
    assert_eq!(nets.sum::<i64>(), number(&["balance"]));
}

fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_else(|| panic!("no {pointer}"))
}

/// What the balances must be by the other sums, as the documentation of the summary says.
#[track_caller]
fn expect_balanced(summary: &Value, account: &str) {
    let (all, own) = (&summary["platform"]["eur"], &summary["accounts"]["platform"]["eur"]);
    let paid_out =
        |totals: &Value| number(totals, "/payouts/paid") + number(totals, "/payouts/pending");
    let expected = number(all, "/paid") - number(all, "/refunded") + number(all, "/refunding")
        - number(all, "/processor_fees")
        - number(all, "/disputed")
        - number(all, "/dispute_fees")
        - number(all, "/transfers/net")
        + number(all, "/application_fees/net")
        - paid_out(own);
    assert_eq!(number(all, "/balance"), expected, "{summary}");
    assert_eq!(number(own, "/balance"), expected, "{summary}");
    let connected = &summary["accounts"][account]["eur"];
    let expected = number(connected, "/transfers/net")
        - number(connected, "/application_fees/net")
        - paid_out(connected);
    assert_eq!(number(connected, "/balance"), expected, "{summary}");
}

#[tokio::test]
async fn it_adds_up_when_money_comes_back() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    sim.paid(50_000, None).await;
    let control = |path: String, body: Value| {
        let sim = &sim;
        async move { sim.control(Method::POST, &path, body).await.ok() }
    };
    let mut charges = Vec::new();
    for _ in 0..5 {
        charges.push(sim.paid(1_000, Some((&account, 100))).await);
    }
    // One dispute is lost and its transfer reversed, one is won, one is open.
    let mut disputes = Vec::new();
    for charge in &charges[..3] {
        let path = format!("charges/{}/dispute", text(&charge["id"]));
        disputes.push(text(&control(path, json!({})).await["id"]));
    }
    let reversals = format!("/v1/transfers/{}/reversals", text(&charges[0]["transfer"]));
    sim.post(&reversals, "refund_application_fee=true").await.ok();
    control(format!("disputes/{}/close", disputes[0]), json!({ "status": "lost" })).await;
    control(format!("disputes/{}/close", disputes[1]), json!({ "status": "won" })).await;
    let summary = sim.summary().await;
    expect_balanced(&summary, &account);
    let totals = &summary["accounts"][&account]["eur"];
    assert_eq!((&totals["disputed"], &totals["dispute_fees"]), (&json!(2_000), &json!(3_000)));
    assert_eq!(totals["disputes"], json!({ "open": 1, "won": 1, "lost": 1 }));
    assert_eq!(totals["transfers"]["net"], 4_000);
    assert_eq!(summary["counts"]["disputes"], json!({ "needs_response": 1, "won": 1, "lost": 1 }));

    // One refund fails, one is on its way; the share of the first is transferred again by hand.
    let refund = |index: usize| {
        let form = format!(
            "charge={}&reverse_transfer=true&refund_application_fee=true",
            text(&charges[index]["id"])
        );
        let sim = &sim;
        async move { text(&sim.post("/v1/refunds", &form).await.ok()["id"]) }
    };
    let failed = refund(3).await;
    expect_balanced(&sim.summary().await, &account);
    control(format!("refunds/{failed}"), json!({ "status": "failed" })).await;
    let form = format!("amount=900&currency=eur&destination={account}");
    sim.post("/v1/transfers", &form).await.ok();
    sim.faults(json!({ "refunds": { "pending": 1.0 } })).await;
    refund(4).await;
    let summary = sim.summary().await;
    expect_balanced(&summary, &account);
    let totals = &summary["accounts"][&account]["eur"];
    assert_eq!((&totals["refunded"], &totals["refunding"]), (&json!(1_000), &json!(1_000)));
    assert_eq!(totals["refunds"], 1);
    assert_eq!(totals["transfers"], json!({ "gross": 5_900, "reversed": 3_000, "net": 2_900 }));

    for body in [
        json!({ "currency": "eur", "account": account }),
        json!({ "currency": "eur", "amount": 700 }),
        json!({ "currency": "eur", "amount": 300 }),
    ] {
        let payout = text(&control("payouts".to_owned(), body).await["id"]);
        expect_balanced(&sim.summary().await, &account);
        control(format!("payouts/{payout}"), json!({ "status": "paid" })).await;
    }
    let summary = sim.summary().await;
    expect_balanced(&summary, &account);
    assert_eq!(summary["accounts"]["platform"]["eur"]["payouts"]["paid"], 1_000);
    assert_eq!(summary["accounts"][&account]["eur"]["balance"], 0);
    let balance = as_account(&sim, &account, "/v1/balance").await.ok();
    let both = number(&balance, "/available/0/amount") + number(&balance, "/pending/0/amount");
    assert_eq!(both, 0);
}
