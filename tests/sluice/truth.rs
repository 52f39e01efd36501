//! What Stripe (the simulator) says was paid, given back, disputed, passed on and paid out, held against the
//! ledger to the cent.

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
    disputed: i64,
    dispute_fees: i64,
    /// What the platform took of the sales, without what went back of it.
    fees: i64,
    /// What was passed on to the creator and stayed there, without the fee.
    passed_on: i64,
    processor_fees: i64,
    paid_out: i64,
    /// What Stripe holds for the creator.
    balance: i64,
}

#[derive(Debug, FromQueryResult)]
struct Posted {
    owner: Option<String>,
    currency: String,
    kind: String,
    account: String,
    amount: i64,
}

/// Fails with both books unless they are the same.
pub async fn expect_same_books(installation: &Installation) {
    let summary = installation.summary().await;
    let posted = posted(installation).await;
    let (ledger, stripe) = (ledger(&posted), stripe(&summary));
    assert!(!stripe.is_empty(), "nothing was paid at all");
    for (owner, stripe) in &stripe {
        let ledger = ledger.get(owner).cloned().unwrap_or_default();
        assert_eq!(ledger, *stripe, "{owner:?}: the ledger (left) is not what Stripe says (right)");
    }
    assert_eq!(ledger.len(), stripe.len(), "accounts in the ledger and at Stripe");
    for (currency, totals) in summary["platform"].as_object().expect("the platform") {
        let held = number(totals, "/balance") + paid_out_pending(&summary, currency);
        assert_eq!(platform(&posted, currency), held, "the platform's balance in {currency}");
    }
}

async fn posted(installation: &Installation) -> Vec<Posted> {
    let sql = "SELECT c.account AS owner, t.currency, t.kind, e.account, \
               CAST(sum(e.amount) AS BIGINT) AS amount \
               FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id \
               LEFT JOIN checkout c ON c.id = t.checkout_id \
               GROUP BY c.account, t.currency, t.kind, e.account";
    installation.rows(sql).await
}

/// What Stripe holds for the platform: what it holds at all, less what is the creators'.
fn platform(posted: &[Posted], currency: &str) -> i64 {
    let ours = |one: &&Posted| {
        one.currency.eq_ignore_ascii_case(currency)
            && (one.account == "stripe" || one.account.starts_with("creator:"))
    };
    posted.iter().filter(ours).map(|one| one.amount).sum()
}

fn ledger(posted: &[Posted]) -> Books {
    let mut books = Books::new();
    for Posted { owner, currency, kind, account, amount } in posted {
        let creator = account.strip_prefix("creator:").map(str::to_owned);
        // Payouts are about no purchase: the account says whose they are. The rest is the platform's own.
        let Some(owner) = owner.clone().or(creator) else { continue };
        let totals = books.entry((owner.clone(), currency.to_lowercase())).or_default();
        match (kind.as_str(), account.as_str()) {
            ("paid" | "quarantined", "stripe") => totals.paid += amount,
            ("refund" | "refund_failed", "stripe") => totals.refunded -= amount,
            // Taking a fee again that went back for nothing, or giving it up, moves nothing at Stripe.
            ("fee_taken_again", "platform_fee") => {}
            (_, "platform_fee") => totals.fees -= amount,
            (_, "processor_fee") => totals.processor_fees += amount,
            (_, "dispute_fee") => totals.dispute_fees += amount,
            ("dispute_withdrawn" | "dispute_reinstated", held)
                if held.starts_with("dispute_hold:") =>
            {
                totals.disputed += amount;
            }
            ("payout" | "payout_failed", creator) if creator.starts_with("creator:") => {
                totals.paid_out += amount;
                totals.balance -= amount;
            }
            (_, creator) if *creator == format!("creator:{owner}") => {
                totals.passed_on -= amount;
                totals.balance -= amount;
            }
            (_, "stripe") => {}
            (_, owed) if owed.starts_with("due:") || owed.starts_with("dispute_hold:") => {}
            other => panic!("a posting of {other:?} that nobody expects"),
        }
    }
    books
}

fn number(totals: &Value, pointer: &str) -> i64 {
    totals.pointer(pointer).and_then(Value::as_i64).unwrap_or_else(|| panic!("{pointer}: {totals}"))
}

fn accounts(summary: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let accounts = summary["accounts"].as_object().expect("accounts").iter();
    accounts.flat_map(|(account, currencies)| {
        let currencies = currencies.as_object().expect("currencies").iter();
        currencies.map(move |(currency, totals)| (account, currency, totals))
    })
}

/// What is on its way to the platform's bank counts as paid out here, and does not there.
fn paid_out_pending(summary: &Value, currency: &str) -> i64 {
    let own =
        accounts(summary).filter(|(account, of, _)| *account == "platform" && *of == currency);
    own.map(|(_, _, totals)| number(totals, "/payouts/pending")).sum()
}

fn stripe(summary: &Value) -> Books {
    let mut books = Books::new();
    for (account, currency, totals) in
        accounts(summary).filter(|(account, ..)| *account != "platform")
    {
        let number = |pointer: &str| number(totals, pointer);
        let fees = number("/application_fees/net");
        let totals = Totals {
            paid: number("/paid"),
            refunded: number("/refunded") - number("/refunding"),
            disputed: number("/disputed"),
            dispute_fees: number("/dispute_fees"),
            fees,
            passed_on: number("/transfers/net") - fees,
            processor_fees: number("/processor_fees"),
            paid_out: number("/payouts/paid"),
            balance: number("/balance") + number("/payouts/pending"),
        };
        books.insert((account.clone(), currency.clone()), totals);
    }
    books
}

/// What the creators are shown is the same, too. What the platform took again of its fee, for a refund that
/// failed or a dispute that was won, is posted here and moves nothing at Stripe.
pub async fn expect_same_earnings(installation: &Installation, shop: &Shop) {
    let client = installation.sluice();
    let posted = posted(installation).await;
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
            let again = |one: &&Posted| {
                one.owner.as_deref() == Some(account.as_str())
                    && one.currency.eq_ignore_ascii_case(currency)
                    && one.account == "platform_fee"
                    && one.kind == "fee_taken_again"
            };
            let again: i64 = posted.iter().filter(again).map(|one| -one.amount).sum();
            let kept = totals.fees + again;
            assert_eq!(shown("grossCents"), totals.paid, "{handle} {earned}");
            assert_eq!(shown("refundedCents"), totals.refunded, "{handle} {earned}");
            assert_eq!(shown("disputedCents"), totals.disputed, "{handle} {earned}");
            assert_eq!(shown("platformFeeCents"), kept, "{handle} {earned}");
            assert_eq!(shown("processorFeeCents"), totals.processor_fees, "{handle} {earned}");
            assert_eq!(shown("paidOutCents"), totals.paid_out, "{handle} {earned}");
            let net = totals.paid - kept - totals.refunded - totals.disputed;
            assert_eq!(shown("netCents"), net, "{handle} {earned}");
        }
    }
}
