//! Every posting is balanced, and giving a payment back undoes it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use workflows::{
    Timestamp,
    ledger::{self, About, Account, Kind, Moved, Sale, Share, Transaction},
    money::{BasisPoints, Currency, MAXIMUM_CHARGE, Money},
    stripe::{
        BalanceTransaction, Dispute, DisputeStatus, PaidInvoice, Payout, PayoutStatus, RefundStatus,
    },
};

use crate::{
    examples::{handle, invoice, sale},
    examples_returns::{by_hand, disputed},
};

/// What every account comes to.
fn balances(postings: &[Transaction]) -> BTreeMap<String, i64> {
    let mut balances = BTreeMap::new();
    for entry in postings.iter().flat_map(|posting| &posting.entries) {
        *balances.entry(entry.account.to_string()).or_default() += entry.amount;
    }
    balances.retain(|_, balance| *balance != 0);
    balances
}

fn kept(fee: i64) -> BalanceTransaction {
    let (currency, available_on) = (Currency::USD, Timestamp::default());
    BalanceTransaction { id: "txn_1".to_owned(), amount: 0, fee, currency, available_on }
}

/// The whole payment, with the whole fee.
fn given_back(sale: &Sale, gross: i64) -> Transaction {
    let refund = by_hand("re_1", gross, RefundStatus::Succeeded);
    let share = Share { reversed: gross, fee: sale.fee.min(gross) };
    ledger::refunded(sale, &refund, share, Timestamp::default())
}

proptest! {
    /// Whatever was agreed, whatever was paid.
    #[test]
    fn every_posting_is_balanced(
        agreed in 0..=MAXIMUM_CHARGE,
        points in 0_u16..10_000,
        gross in 0..=MAXIMUM_CHARGE,
        processor in -MAXIMUM_CHARGE..=MAXIMUM_CHARGE,
        quarantined in any::<bool>(),
    ) {
        let sale = sale(agreed, BasisPoints::new(points).unwrap().of(agreed));
        let kind = if quarantined { Kind::Quarantined } else { Kind::Paid };
        for posting in [
            ledger::paid(&sale, kind, "pi_1", gross, Currency::USD),
            given_back(&sale, gross),
            ledger::processor_fee(&sale, &kept(processor), gross),
            ledger::plan_invoice(sale.handle, &PaidInvoice { amount: gross, ..invoice("in_1") }),
        ] {
            prop_assert!(posting.is_balanced(), "{posting:?}");
            prop_assert!(posting.entries.iter().all(|entry| entry.amount != 0), "{posting:?}");
        }
    }

    /// The buyer's whole amount is with Stripe, the platform has its fee, the creator the rest.
    #[test]
    fn a_payment_is_divided_without_remainder(
        price in 1..=MAXIMUM_CHARGE,
        points in 0_u16..10_000,
    ) {
        let fee = BasisPoints::new(points).unwrap().of(price);
        let posting = ledger::paid(&sale(price, fee), Kind::Paid, "pi_1", price, Currency::USD);
        let part = |account| {
            let of = |entry: &&ledger::Entry| entry.account == account;
            posting.entries.iter().find(of).map_or(0, |entry| entry.amount)
        };
        prop_assert_eq!(part(Account::Stripe), price);
        prop_assert_eq!(part(Account::PlatformFee), -fee);
        prop_assert_eq!(part(Account::Creator("acct_1".to_owned())), fee - price);
    }

    /// Also where less was paid than the fee, and whatever the processor keeps.
    #[test]
    fn giving_a_payment_back_undoes_it_on_every_account(
        agreed in 0..=MAXIMUM_CHARGE,
        points in 0_u16..10_000,
        gross in 0..=MAXIMUM_CHARGE,
    ) {
        let sale = sale(agreed, BasisPoints::new(points).unwrap().of(agreed));
        let paid = ledger::paid(&sale, Kind::Paid, "pi_1", gross, Currency::USD);
        let back = given_back(&sale, gross);
        let creator = gross - sale.fee.min(gross);
        prop_assert_eq!(back.available.map_or(0, |available| available.amount), -creator);
        prop_assert_eq!(balances(&[paid, back]), BTreeMap::new());
    }

    /// What the processor keeps is the platform's cost: it changes nothing of the creator's.
    #[test]
    fn the_processors_fee_is_not_the_creators(fee in 0..=MAXIMUM_CHARGE) {
        let posting = ledger::processor_fee(&sale(0, 0), &kept(fee), 0);
        let creators = |entry: &ledger::Entry| matches!(entry.account, Account::Creator(_));
        prop_assert!(!posting.entries.iter().any(creators));
        prop_assert_eq!(balances(&[posting]).get("processor_fee").copied().unwrap_or(0), fee);
    }
}

proptest! {
    /// Whatever came back, and whoever got it.
    #[test]
    fn every_posting_of_what_comes_back_is_balanced(
        amount in 1..=MAXIMUM_CHARGE,
        reversed in 0..=MAXIMUM_CHARGE,
        fee in 0..=MAXIMUM_CHARGE,
    ) {
        let (sale, at) = (sale(amount, 0), Timestamp::default());
        let share = Share { reversed, fee };
        let refund = by_hand("re_1", amount, RefundStatus::Succeeded);
        let dispute = Dispute {
            reinstated: reversed.min(amount),
            fee_reinstated: fee,
            ..disputed(amount, DisputeStatus::Lost)
        };
        let before = Moved { amount: fee.min(amount), fee: 0 };
        let payout = Payout {
            id: "po_1".to_owned(),
            amount,
            currency: Currency::USD,
            status: PayoutStatus::Paid,
            arrives: at,
            failure: None,
        };
        for posting in [
            ledger::refunded(&sale, &refund, share, at),
            ledger::refund_failed(&sale, &refund),
            ledger::reversed(&sale, "tr_1", "trr_1", share, at),
            ledger::transferred_again(&sale, "tr_2", amount, at),
            ledger::fee_returned(&sale, "ch_1", fee, fee, at),
            ledger::fee_taken_again(&sale, "tr_2", fee),
            ledger::fee_given_up(&sale, "trr_1", fee),
            ledger::dispute_withdrawn(&sale, &dispute, before),
            ledger::dispute_reinstated(&sale, &dispute, before),
            ledger::dispute_lost(&sale, &dispute, amount, fee),
            ledger::payout(sale.handle, "acct_1", &payout),
            ledger::payout_failed(sale.handle, "acct_1", &payout),
            ledger::platform_payout(&payout),
            ledger::platform_payout_failed(&payout),
            ledger::written_off(sale.handle, Money::new(amount, Currency::USD), "1"),
        ] {
            prop_assert!(posting.is_balanced(), "{posting:?}");
            prop_assert!(posting.entries.iter().all(|entry| entry.amount != 0), "{posting:?}");
        }
    }
}

#[test]
fn a_posting_has_one_key_for_each_stripe_object() {
    let sale = sale(1_000, 50);
    let paid = |kind, gross| ledger::paid(&sale, kind, "pi_1", gross, Currency::USD).key;
    assert_eq!(paid(Kind::Paid, 1_000), "paid:pi_1");
    assert_eq!(paid(Kind::Quarantined, 999), "paid:pi_1");
    assert_eq!(given_back(&sale, 1_000).key, "refund:re_1");
    assert_eq!(ledger::processor_fee(&sale, &kept(1), 0).key, "fee:txn_1");
    assert_eq!(ledger::plan_invoice(sale.handle, &invoice("in_1")).key, "plan_invoice:in_1");
}

/// What a creator pays for a plan is the platform's, and no earnings of the creator's.
#[test]
fn a_plans_invoice_is_the_platforms_revenue() {
    let posting = ledger::plan_invoice(handle(), &invoice("in_1"));
    let expected = [("plan_revenue".to_owned(), -2_900), ("stripe".to_owned(), 2_900)];
    assert_eq!(balances(std::slice::from_ref(&posting)), BTreeMap::from(expected));
    assert_eq!(posting.about, About::Plan(handle()));
}
