use serde_json::json;

use crate::support::{Sim, ids, text};

#[tokio::test]
async fn a_product_has_prices() {
    let sim = Sim::start().await;
    let form = "name=Pro&description=For professionals&metadata[plan]=pro\
                &default_price_data[currency]=eur&default_price_data[unit_amount]=1200\
                &default_price_data[recurring][interval]=month";
    let product = sim.post("/v1/products", form).await.ok();
    assert_eq!((&product["name"], &product["active"]), (&json!("Pro"), &json!(true)));
    let id = text(&product["id"]);
    let monthly = sim.get(&format!("/v1/prices/{}", text(&product["default_price"]))).await.ok();
    assert_eq!((&monthly["product"], &monthly["type"]), (&product["id"], &json!("recurring")));
    assert_eq!(monthly["recurring"]["interval"], "month");

    let form = format!(
        "product={id}&currency=EUR&unit_amount=12000&recurring[interval]=year\
         &nickname=Yearly&lookup_key=pro_yearly"
    );
    let yearly = sim.post("/v1/prices", &form).await.ok();
    assert_eq!(
        (&yearly["currency"], &yearly["unit_amount_decimal"]),
        (&json!("eur"), &json!("12000"))
    );
    let once =
        sim.post("/v1/prices", &format!("product={id}&currency=eur&unit_amount=500")).await.ok();
    assert_eq!((&once["type"], &once["recurring"]), (&json!("one_time"), &json!(null)));

    let listed = async |filter: &str| ids(&sim.get(&format!("/v1/prices?{filter}")).await.ok());
    let (monthly, yearly, once) = (text(&monthly["id"]), text(&yearly["id"]), text(&once["id"]));
    let both = vec![yearly.clone(), monthly.clone()];
    assert_eq!(listed(&format!("product={id}&type=recurring")).await, both);
    assert_eq!(listed("lookup_keys[]=pro_yearly").await, [yearly.as_str()]);
    sim.post(&format!("/v1/prices/{monthly}"), "active=false").await.ok();
    assert_eq!(listed("active=true").await, [once, yearly]);
    let again = sim.post("/v1/prices", &form).await.error(400);
    assert_eq!(again["param"], "lookup_key");
}

#[tokio::test]
async fn a_product_with_prices_can_only_be_archived() {
    let sim = Sim::start().await;
    let bare = text(&sim.post("/v1/products", "name=Bare").await.ok()["id"]);
    let price = sim.price("Pro", 1200, "month").await;
    let price = sim.get(&format!("/v1/prices/{price}?expand[]=product")).await.ok();
    assert_eq!(price["product"]["name"], "Pro");
    let busy = format!("/v1/products/{}", text(&price["product"]["id"]));
    let delete =
        async |path: &str| crate::support::send(sim.api(reqwest::Method::DELETE, path)).await;
    delete(&busy).await.error(400);
    let archived = sim.post(&busy, "active=false&name=Old").await.ok();
    assert_eq!((&archived["active"], &archived["name"]), (&json!(false), &json!("Old")));
    let path = format!("/v1/products/{bare}");
    assert_eq!(delete(&path).await.ok()["deleted"], true);
    sim.get(&path).await.error(404);
}

#[tokio::test]
async fn prices_that_make_no_sense_are_refused() {
    let sim = Sim::start().await;
    for (form, param) in [
        ("currency=eur&unit_amount=1", "product"),
        ("product_data[name]=a&unit_amount=1", "currency"),
        ("product_data[name]=a&currency=eur", "unit_amount"),
        ("product_data[name]=a&currency=eur&unit_amount=-1", "unit_amount"),
        ("product_data[name]=a&currency=abc&unit_amount=1", "currency"),
        ("product=prod_of_nobody&currency=eur&unit_amount=1", "product"),
        (
            "product_data[name]=a&currency=eur&unit_amount=1&recurring[interval]=hour",
            "recurring[interval]",
        ),
        (
            "product_data[name]=a&currency=eur&unit_amount=1&recurring[interval]=month\
             &recurring[interval_count]=37",
            "recurring[interval_count]",
        ),
    ] {
        let error = sim.post("/v1/prices", form).await.error(400);
        assert_eq!(error["param"], param, "{form}: {error}");
    }
    assert_eq!(sim.get("/v1/prices").await.ok()["data"], json!([]));
}
