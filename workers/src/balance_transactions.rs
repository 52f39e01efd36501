//! Reading Stripe's balance transactions: the processor's fees, and when money becomes available. Listed in
//! pages, never one call a sale.

use std::time::Duration;

use engine::{Engine, EngineError, Letter};
use entities::cursor;
use stripe_shared::{BalanceTransaction, BalanceTransactionSource, Charge};
use stripe_types::Expandable;
use workflows::{
    Timestamp, checkout::Event, id::CheckoutId, message::Message, money::Currency, stripe as facts,
    stripe_event::CHECKOUT,
};

use crate::stripe::StripePerformer;

/// The name of the cursor: the newest `created` that was listed, in seconds.
const CURSOR: &str = "balance_transactions";
/// How far back each listing reaches behind the cursor, in seconds: transactions may appear late.
const OVERLAP: i64 = 600;
/// Cards are charges; bank and local methods are payments.
/// <https://docs.stripe.com/reports/balance-transaction-types>
const KINDS: [&str; 2] = ["charge", "payment"];
const PAGE: i64 = 100;
const BETWEEN_PAGES: Duration = Duration::from_millis(20);

/// Lists what is new, and tells the purchases.
pub async fn import(engine: &Engine, stripe: &StripePerformer) -> Result<(), EngineError> {
    let db = engine.database().write();
    let cursor: i64 =
        cursor::find(db, CURSOR).await?.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut newest = cursor;
    for kind in KINDS {
        match import_kind(engine, stripe, kind, cursor).await? {
            Some(seen) => newest = newest.max(seen),
            // Only a whole import moves the cursor: the next one must begin where this one did.
            None => return Ok(()),
        }
    }
    if newest > cursor {
        cursor::set(db, CURSOR, &newest.to_string()).await?;
    }
    Ok(())
}

/// Imports one kind, and says how new the newest transaction is; `None` if Stripe cannot be asked now.
async fn import_kind(
    engine: &Engine,
    stripe: &StripePerformer,
    kind: &str,
    cursor: i64,
) -> Result<Option<i64>, EngineError> {
    let (db, from) = (engine.database().write(), (cursor - OVERLAP).max(0));
    let mut newest = cursor;
    let mut after: Option<String> = None;
    loop {
        let page = match stripe.list_balance_transactions(kind, from, after.take(), PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "balance transactions cannot be listed now");
                return Ok(None);
            }
        };
        newest = page.data.iter().map(|row| row.created).fold(newest, i64::max);
        let letters: Vec<_> = page.data.iter().filter_map(letter).collect();
        let wake_up = engine.send_all(db, &letters).await?;
        engine.wake(wake_up);
        match page.data.last() {
            Some(last) if page.has_more => after = Some(last.id.to_string()),
            _ => return Ok(Some(newest)),
        }
        tokio::time::sleep(BETWEEN_PAGES).await;
    }
}

/// What a purchase hears of its charge's balance transaction. Charges that are not ours are left out.
pub(crate) fn letter(transaction: &BalanceTransaction) -> Option<Letter> {
    let checkout = checkout_of(charge(transaction)?)?;
    let currency = Currency::parse(&transaction.currency.to_string()).ok()?;
    let fee = facts::BalanceTransaction {
        id: transaction.id.to_string(),
        amount: transaction.amount,
        fee: transaction.fee,
        currency,
        available_on: Timestamp::from_secs(transaction.available_on),
    };
    Some(Letter {
        source: "balance_transaction",
        source_id: transaction.id.to_string(),
        message: Message::Checkout(checkout, Event::ProcessorFee(fee)),
        handle: None,
    })
}

fn charge(transaction: &BalanceTransaction) -> Option<&Charge> {
    match transaction.source.as_ref()? {
        Expandable::Object(source) => match source.as_ref() {
            BalanceTransactionSource::Charge(charge) => Some(charge),
            _ => None,
        },
        Expandable::Id(_) => None,
    }
}

fn checkout_of(charge: &Charge) -> Option<CheckoutId> {
    charge.metadata.get(CHECKOUT)?.parse().ok()
}
