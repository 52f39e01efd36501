//! What Stripe (the simulator) says was paid, given back and charged, held against the ledger to the cent.

use std::collections::BTreeMap;

use sea_orm::FromQueryResult;
use serde_json::Value;

use crate::{installation::Installation, shop::Shop};

/// By account and currency.
type Books = BTreeMap<(String, String), Totals>;

/// Minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Totals {
    paid: i64,
    refunded: i64,
    fees: i64,
    /// What was passed on to the creator and stayed there, with the fee that came back from it.
    transfers: i64,
    processor_fees: i64,
}

#[derive(Debug, FromQueryResult)]
struct Posted {
    owner: String,
    currency: String,
    kind: String,
    account: String,
    amount: i64,
}

/// Fails with both books unless they are the same.
pub async fn expect_same_books(installation: &Installation) {
    let (ledger, stripe) = (ledger(installation).await, stripe(&installation.summary().await));
    assert!(!stripe.is_empty(), "nothing was paid at all");
    assert_eq!(ledger, stripe, "the ledger (left) is not what Stripe says (right)");
}

async fn ledger(installation: &Installation) -> Books {
    let sql = "SELECT c.account AS owner, t.currency, t.kind, e.account, \
               CAST(sum(e.amount) AS BIGINT) AS amount \
               FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id \
               JOIN checkout c ON c.id = t.checkout_id \
               GROUP BY c.account, t.currency, t.kind, e.account";
    let mut books = Books::new();
    for Posted { owner, currency, kind, account, amount } in installation.rows(sql).await {
        let totals = books.entry((owner.clone(), currency.to_lowercase())).or_default();
        match (kind.as_str(), account.as_str()) {
            ("paid" | "quarantined", "stripe") => totals.paid += amount,
            ("refund", "stripe") => totals.refunded -= amount,
            ("processor_fee", "stripe") => {}
            (_, "platform_fee") => {
                totals.fees -= amount;
                totals.transfers -= amount;
            }
            (_, "processor_fee") => totals.processor_fees += amount,
            (_, creator) if creator == format!("creator:{owner}") => totals.transfers -= amount,
            other => panic!("a posting of {other:?} that nobody expects"),
        }
    }
    books
}

fn stripe(summary: &Value) -> Books {
    let mut books = Books::new();
    for (account, currencies) in summary["accounts"].as_object().expect("accounts") {
        for (currency, totals) in currencies.as_object().expect("currencies") {
            let number =
                |pointer: &str| totals.pointer(pointer).and_then(Value::as_i64).expect(pointer);
            let totals = Totals {
                paid: number("/paid"),
                refunded: number("/refunded"),
                fees: number("/application_fees/net"),
                transfers: number("/transfers/net"),
                processor_fees: number("/processor_fees"),
            };
            books.insert((account.clone(), currency.clone()), totals);
        }
    }
    books
}

/// What the creators are shown is the same, too.
pub async fn expect_same_earnings(installation: &Installation, shop: &Shop) {
    let client = installation.sluice();
    let books = stripe(&installation.summary().await);
    for (handle, creator) in shop.creators.iter() {
        let path = format!("/v2/handles/{handle}/connect/status");
        let status = client.get(creator, &path).await;
        let account = status["accountId"].as_str().expect("an account").to_owned();
        for ((_, currency), totals) in books.iter().filter(|((owner, _), _)| *owner == account) {
            let path =
                format!("/v2/handles/{handle}/earnings?currency={}", currency.to_uppercase());
            let earned =
                client.get_until(creator, &path, |earned| earned["upToDate"] == true).await;
            let shown = |field: &str| earned[field].as_i64().expect(field);
            assert_eq!(shown("grossCents"), totals.paid, "{handle} {earned}");
            assert_eq!(shown("refundedCents"), totals.refunded, "{handle} {earned}");
            assert_eq!(shown("platformFeeCents"), totals.fees, "{handle} {earned}");
            assert_eq!(shown("processorFeeCents"), totals.processor_fees, "{handle} {earned}");
            assert_eq!(shown("netCents"), totals.transfers - totals.fees, "{handle} {earned}");
        }
    }
}
