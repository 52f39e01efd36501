//! What comes in: sales, their fees, and plans.

use super::{About, Account, Available, Kind, Sale, Transaction, entries};
use crate::{id::HandleId, money::Money, stripe};

/// A buyer paid `gross`: stripe +G, platform_fee −F, creator −(G−F).
pub fn paid(
    sale: &Sale,
    kind: Kind,
    payment_intent: &str,
    gross: i64,
    currency: crate::money::Currency,
) -> Transaction {
    // A payment of less than the fee cannot happen at Stripe (the fee must fit), but would post balanced.
    let fee = sale.fee.min(gross);
    Transaction {
        key: format!("paid:{payment_intent}"),
        kind,
        currency,
        about: About::Sale(sale.clone()),
        stripe_object: payment_intent.to_owned(),
        available: None,
        entries: entries([
            (Account::Stripe, gross),
            (Account::PlatformFee, -fee),
            (Account::Creator(sale.account.clone()), fee - gross),
        ]),
    }
}

/// The processor kept `fee` of a payment: processor_fee +P, stripe −P. From `available_on` the creator's
/// part of the payment, `net`, can be paid out.
pub fn processor_fee(
    sale: &Sale,
    transaction: &stripe::BalanceTransaction,
    net: i64,
) -> Transaction {
    Transaction {
        key: format!("fee:{}", transaction.id),
        kind: Kind::ProcessorFee,
        currency: transaction.currency,
        about: About::Sale(sale.clone()),
        stripe_object: transaction.id.clone(),
        available: Some(Available { at: transaction.available_on, amount: net }),
        entries: entries([
            (Account::ProcessorFee, transaction.fee),
            (Account::Stripe, -transaction.fee),
        ]),
    }
}

/// A payment went into the platform's balance in another currency: stripe −G, exchange +G in the one, and
/// stripe +g, exchange −g in the other. From `available_on` the creator's part of it, `net`, can be paid out.
/// <https://docs.stripe.com/currencies/conversions>
pub fn exchanged(
    sale: &Sale,
    transaction: &stripe::BalanceTransaction,
    (from, to): (Money, Money),
    net: i64,
) -> [Transaction; 2] {
    let half = |name: &str, money: Money, sign: i64, available| Transaction {
        key: format!("exchange_{name}:{}", transaction.id),
        kind: Kind::Exchanged,
        currency: money.currency,
        about: About::Sale(sale.clone()),
        stripe_object: transaction.id.clone(),
        available,
        entries: entries([
            (Account::Stripe, sign * money.minor),
            (Account::Exchange, -sign * money.minor),
        ]),
    };
    let available = Some(Available { at: transaction.available_on, amount: net });
    [half("from", from, -1, available), half("to", to, 1, None)]
}

/// A creator paid an invoice of `invoice.amount` for a plan: stripe +A, plan_revenue −A.
pub fn plan_invoice(handle: HandleId, invoice: &stripe::PaidInvoice) -> Transaction {
    Transaction {
        key: format!("plan_invoice:{}", invoice.id),
        kind: Kind::PlanInvoice,
        currency: invoice.currency,
        about: About::Plan(handle),
        stripe_object: invoice.id.clone(),
        available: None,
        entries: entries([
            (Account::Stripe, invoice.amount),
            (Account::PlanRevenue, -invoice.amount),
        ]),
    }
}
