use serde_json::json;

use crate::support::{Sim, text};

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
            "paid": 15_000, "refunded": 4_000, "disputed": 0,
            "application_fees": { "gross": 1_500, "refunded": 400, "net": 1_100 },
            "transfers": { "gross": 15_000, "reversed": 4_000, "net": 11_000 },
            "processor_fees": 320 + 175, "charges": 2, "refunds": 1,
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
