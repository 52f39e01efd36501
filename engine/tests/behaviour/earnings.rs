//! Earnings: what each row of the table of postings comes to for the creator, and the nightly comparison.

use engine::{By, Invariant, Recomputed};
use entities::{
    audit_log, earnings, earnings_check,
    ledger::{self as table, NewTransaction},
    ledger_explained, operator_case, rollup_queue,
    statement::execute,
    together::Together,
};
use uuid::Uuid;
use workflows::{
    Timestamp,
    id::CheckoutId,
    ledger::{self, About, Kind, Moved, Sale, Share, Transaction},
    money::{Currency, Money},
    stripe::{BalanceTransaction, Dispute, DisputeStatus, Refund, RefundStatus},
};

use crate::{on_both, world::World};

const GROSS: i64 = 1_000;
const FEE: i64 = 50;
const PART: i64 = GROSS - FEE;
/// All of it.
const WHOLE: Share = Share { reversed: GROSS, fee: FEE };

fn sale(world: &World) -> Sale {
    Sale {
        checkout: CheckoutId(Uuid::now_v7()),
        handle: world.handle,
        page: world.page,
        campaign: None,
        account: "acct_1".to_owned(),
        amount: GROSS,
        fee: FEE,
        currency: Currency::USD,
    }
}

/// Posts transactions as the engine does.
pub async fn post(world: &World, postings: &[Transaction]) {
    let now = world.engine.clock().local_millis();
    let rows: Vec<_> = postings.iter().map(|posting| row(now, posting)).collect();
    let transaction = world.engine.database().begin().await.unwrap();
    let mut together = Together::new(world.engine.database().dialect());
    table::post(&transaction, &mut together, &rows).await.unwrap();
    together.execute(&transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

fn row(now: i64, posting: &Transaction) -> NewTransaction {
    let (handle, sale) = match &posting.about {
        About::Sale(sale) => (sale.handle.0, Some(sale)),
        About::Plan(handle) | About::Balance(handle) => (handle.0, None),
        About::Platform => (Uuid::nil(), None),
    };
    // Stripe's ids are unique; those of several sales in a test are not.
    let owner = sale.map_or_else(String::new, |sale| format!(":{}", sale.checkout));
    NewTransaction {
        key: format!("{}{owner}", posting.key),
        kind: posting.kind.into(),
        currency: posting.currency.into(),
        handle_id: handle,
        checkout_id: sale.map(|sale| sale.checkout.0),
        page_id: sale.map(|sale| sale.page.0),
        campaign: sale.and_then(|sale| sale.campaign.clone()),
        stripe_object: posting.stripe_object.clone(),
        available_at: posting.available.map(|available| available.at.millis()),
        available_amount: posting.available.map_or(0, |available| available.amount),
        at: now,
        entries: posting.entries.iter().map(|e| (e.account.to_string(), e.amount)).collect(),
    }
}

/// A sale whose money can be paid out.
fn sold(sale: &Sale, at: Timestamp) -> Vec<Transaction> {
    let fee = BalanceTransaction {
        id: "txn_1".to_owned(),
        amount: 1_000,
        fee: 59,
        currency: Currency::USD,
        available_on: at,
    };
    vec![
        ledger::paid(sale, Kind::Paid, "pi_1", GROSS, Currency::USD),
        ledger::processor_fee(sale, &fee, PART),
    ]
}

fn refund(id: &str, amount: i64) -> Refund {
    Refund {
        id: id.to_owned(),
        payment_intent: "pi_1".to_owned(),
        amount,
        status: RefundStatus::Succeeded,
        asked: None,
        reason: None,
    }
}

/// A dispute that took so much, of which so much came back.
fn dispute(withdrawn: i64, reinstated: i64) -> Dispute {
    Dispute {
        id: "dp_1".to_owned(),
        amount: withdrawn,
        status: DisputeStatus::Lost,
        reason: "fraudulent".to_owned(),
        withdrawn,
        fee: 1_500,
        reinstated,
        fee_reinstated: 0,
        currency: Currency::USD,
        evidence_due: None,
    }
}

/// A dispute of which nothing was posted before.
const NOTHING: Moved = Moved { amount: 0, fee: 0 };

/// platform fee, refunded, disputed, net, due, pending, available
type Expected = [i64; 7];

#[rustfmt::skip]
fn rows(sale: &Sale, at: Timestamp) -> Vec<(&'static str, Vec<Transaction>, Expected)> {
    let taken = |d: i64| ledger::dispute_withdrawn(sale, &dispute(d, 0), NOTHING);
    let reversed = || ledger::reversed(sale, "tr_1", "trr_1", WHOLE, at);
    let again = |amount| ledger::transferred_again(sale, "tr_2", amount, at);
    let refunded = |id, amount, share| ledger::refunded(sale, &refund(id, amount), share, at);
    let later = ledger::transferred_again(sale, "tr_2", PART, at.plus(2 * Timestamp::DAY));
    let half = Share { reversed: 500, fee: 25 };
    let halves = vec![refunded("re_1", 500, half), refunded("re_2", 500, half)];
    let failed = vec![
        refunded("re_1", GROSS, WHOLE), ledger::refund_failed(sale, &refund("re_1", GROSS)),
        ledger::fee_taken_again(sale, "tr_2", FEE),
    ];
    let kept = Share::default();
    let won = vec![
        taken(GROSS), reversed(), ledger::dispute_reinstated(sale, &dispute(GROSS, GROSS), NOTHING),
        ledger::fee_taken_again(sale, "tr_2", FEE), again(PART),
    ];
    vec![
        ("sold", vec![], [FEE, 0, 0, PART, 0, 0, PART]),
        ("given back", vec![refunded("re_1", GROSS, WHOLE)], [0, GROSS, 0, 0, 0, 0, 0]),
        ("half given back", halves[..1].to_vec(), [25, 500, 0, 475, 0, 0, 475]),
        ("given back by halves", halves, [0, GROSS, 0, 0, 0, 0, 0]),
        ("given back, and nothing was reversed", vec![refunded("re_1", 600, kept)],
            [FEE, 600, 0, 350, 600, 0, 350]),
        ("a refund failed", failed.clone(),
            [FEE, 0, 0, PART, -PART, 0, PART]),
        ("and was transferred again", [failed.clone(), vec![again(PART)]].concat(),
            [FEE, 0, 0, PART, 0, 0, PART]),
        ("and can be paid out in two days", [failed, vec![later]].concat(),
            [FEE, 0, 0, PART, 0, PART, 0]),
        ("disputed", vec![taken(GROSS)], [FEE, 0, GROSS, -FEE, 0, 0, -FEE]),
        ("disputed, and the transfer reversed", vec![taken(GROSS), reversed()],
            [0, 0, GROSS, 0, -GROSS, 0, 0]),
        ("a dispute lost in full",
            vec![taken(GROSS), reversed(), ledger::dispute_lost(sale, &dispute(GROSS, 0), GROSS, 0)],
            [0, 0, GROSS, 0, 0, 0, 0]),
        ("a dispute lost, and nothing was reversed",
            vec![taken(GROSS), ledger::dispute_lost(sale, &dispute(GROSS, 0), GROSS, 0)],
            [FEE, 0, GROSS, -FEE, GROSS, 0, -FEE]),
        ("a dispute lost that took more than was paid",
            vec![taken(1_200), reversed(), ledger::dispute_lost(sale, &dispute(1_200, 0), 1_200, 0)],
            [0, 0, 1_200, -200, 200, 0, -200]),
        ("a dispute won", won, [FEE, 0, 0, PART, 0, 0, PART]),
    ]
}

on_both! {
    async fn each_row_of_the_table_comes_to_what_a_creator_expects(world: World) {
        let mut so_far: Expected = [0; 7];
        let mut sales = 0;
        let now = Timestamp::from_millis(world.engine.clock().local_millis());
        let names: Vec<_> = rows(&sale(&world), now).into_iter().map(|row| row.0).collect();
        for name in names {
            // Each row is a sale of its own.
            let sale = sale(&world);
            let found = rows(&sale, now).into_iter().find(|row| row.0 == name);
            let (_, postings, expected) = found.unwrap();
            post(&world, &[sold(&sale, now), postings].concat()).await;
            world.check().await;
            sales += 1;
            let db = world.engine.database().read();
            let earned = earnings::of_handle(db, world.handle.0, now.day() + 1).await.unwrap();
            let [earned] = &earned[..] else { panic!("{earned:?}") };
            assert_eq!((earned.gross, earned.processor_fee), (sales * GROSS, sales * 59), "{name}");
            let all: Expected = [
                earned.platform_fee, earned.refunded, earned.disputed, earned.net, earned.due,
                earned.pending, earned.available,
            ];
            let row: Vec<_> = all.iter().zip(so_far).map(|(now, before)| now - before).collect();
            assert_eq!(row, expected, "{name}");
            so_far = all;
        }
        // What is the creator's is what the creator's accounts were credited, whatever happened.
        let credited = table::balances_any_handle(world.engine.database().read()).await.unwrap();
        let of_creator = |account: &str| ["creator:", "due:", "dispute_hold:"].iter().any(|of| account.starts_with(of));
        let credited: i64 = credited.iter().filter(|b| of_creator(&b.account)).map(|b| -b.balance).sum();
        assert_eq!(so_far[3], credited);
    }

    async fn payouts_and_debts_given_up_are_no_earnings_but_move_the_balance(world: World) {
        let sale = sale(&world);
        let now = Timestamp::from_millis(world.engine.clock().local_millis());
        let payout = |id: &str, amount| workflows::stripe::Payout {
            id: id.to_owned(),
            amount,
            currency: Currency::USD,
            status: workflows::stripe::PayoutStatus::Paid,
            arrives: now,
            failure: None,
        };
        let lost = dispute(1_200, 0);
        let mut postings = sold(&sale, now);
        postings.extend([
            ledger::payout(world.handle, "acct_1", &payout("po_1", 300)),
            ledger::payout(world.handle, "acct_old", &payout("po_2", 200)),
            ledger::payout_failed(world.handle, "acct_old", &payout("po_2", 200)),
            ledger::platform_payout(&payout("po_3", 7)),
            ledger::dispute_withdrawn(&sale, &lost, NOTHING),
            ledger::dispute_lost(&sale, &lost, lost.withdrawn - lost.reinstated, 0),
            ledger::written_off(world.handle, Money { minor: 80, currency: Currency::USD }, "case"),
        ]);
        post(&world, &postings).await;
        world.check().await;
        let db = world.engine.database().read();
        let settled = ledger_explained::settled(db, world.handle.0).await.unwrap();
        let [usd] = &settled[..] else { panic!("{settled:?}") };
        assert_eq!((usd.paid_out, usd.net, usd.due), (300, -300 + 80, -80));
        let earned = earnings::of_handle(db, world.handle.0, now.day() + 1).await.unwrap();
        assert_eq!((earned[0].gross, earned[0].net, earned[0].due), (GROSS, PART - 1_200, 1_200));
    }

    async fn a_row_that_is_wrong_becomes_a_case_and_is_written_anew(world: World) {
        let now = Timestamp::from_millis(world.engine.clock().local_millis());
        post(&world, &sold(&sale(&world), now)).await;
        world.check().await;
        let db = world.engine.database().write();
        let compare = async || world.engine.compare_earnings_nightly().await.unwrap();
        let cases = async || operator_case::list_open_any_handle(db, 10).await.unwrap();
        assert_eq!(compare().await, 1);
        assert_eq!(compare().await, 0, "once a night");
        assert_eq!(cases().await, []);

        // What is queued is no difference, however much is rolled up meanwhile.
        post(&world, &sold(&sale(&world), now)).await;
        assert!(rollup_queue::is_waiting(db, world.handle.0).await.unwrap());
        world.engine.clock().advance(Timestamp::DAY);
        assert_eq!(compare().await, 1);
        assert_eq!(cases().await, []);

        let sql = "UPDATE earnings SET disputed = disputed + 5, net = net - 5";
        execute(db, sql, vec![]).await.unwrap();
        world.engine.clock().advance(Timestamp::DAY);
        assert_eq!(compare().await, 1);
        let found = cases().await;
        let [case] = &found[..] else { panic!("{found:?}") };
        assert_eq!(case.kind, "earnings_difference");
        assert_eq!(case.key, format!("{}:USD", world.handle));
        let told = "1000 gross and 945 net in USD by the rollup, 1000 and 950 by the ledger";
        assert!(case.detail.contains(told), "{}", case.detail);

        // The next night it is the same case.
        world.engine.clock().advance(Timestamp::DAY);
        assert_eq!(compare().await, 1);
        assert_eq!(cases().await.len(), 1);

        let told = world.engine.recompute_earnings(Recomputed::Compared).await.unwrap();
        assert_eq!((told.handles, told.differences.len()), (1, 1));
        let by = By::new("operator:olga");
        let told = world.engine.recompute_earnings(Recomputed::Repaired(&by)).await.unwrap();
        assert_eq!(told.differences.len(), 1);
        assert_eq!(cases().await, [], "it is settled");
        let noted = audit_log::list(db, world.handle.0, Uuid::max(), 10).await.unwrap();
        assert_eq!((noted[0].actor.as_str(), noted[0].action.as_str()), ("operator:olga", "earnings.rewrite"));
        let told = world.engine.recompute_earnings(Recomputed::Compared).await.unwrap();
        assert_eq!(told.differences, []);
        // What was queued all the while is folded once.
        world.check().await;
        let earned = earnings::of_handle(db, world.handle.0, now.day()).await.unwrap();
        assert_eq!((earned[0].gross, earned[0].net), (2 * GROSS, 2 * PART));
    }

    async fn nobody_folds_while_earnings_are_written_anew(world: World) {
        let now = Timestamp::from_millis(world.engine.clock().local_millis());
        post(&world, &sold(&sale(&world), now)).await;
        world.engine.sweep(&engine::wake::NoWakeups).await.unwrap();
        world.engine.drain().await.unwrap();
        let writing = world.engine.database().begin().await.unwrap();
        earnings_check::hold(&writing, world.handle.0).await.unwrap();
        earnings_check::rewrite(&writing, world.handle.0).await.unwrap();
        let folding = world.engine.perform_local();
        tokio::pin!(folding);
        let patience = std::time::Duration::from_millis(500);
        assert!(tokio::time::timeout(patience, &mut folding).await.is_err(), "it waits");
        writing.commit().await.unwrap();
        assert_eq!(folding.await.unwrap(), 1);
        world.check().await;
    }

    async fn rollups_and_a_repair_at_once_count_everything_once(world: World) {
        let now = Timestamp::from_millis(world.engine.clock().local_millis());
        post(&world, &sold(&sale(&world), now)).await;
        world.check().await;
        let by = By::new("operator:olga");
        let db = world.engine.database().write();
        for _ in 0..8 {
            execute(db, "UPDATE earnings SET gross = gross + 1", vec![]).await.unwrap();
            post(&world, &sold(&sale(&world), now)).await;
            world.engine.clock().advance(6_000);
            world.engine.sweep(&engine::wake::NoWakeups).await.unwrap();
            let (repaired, ()) = tokio::join!(
                world.engine.recompute_earnings(Recomputed::Repaired(&by)),
                world.settle_down()
            );
            repaired.unwrap();
        }
        world.engine.recompute_earnings(Recomputed::Repaired(&by)).await.unwrap();
        world.check().await;
        let earned = earnings::of_handle(db, world.handle.0, now.day()).await.unwrap();
        assert_eq!((earned[0].gross, earned[0].net), (9 * GROSS, 9 * PART));
    }

    async fn many_handles_are_compared_in_chunks(world: World) {
        let now = Timestamp::from_millis(world.engine.clock().local_millis());
        let mut postings = Vec::new();
        for _ in 0..120 {
            let sale = Sale { handle: workflows::id::HandleId(Uuid::now_v7()), ..sale(&world) };
            postings.extend(sold(&sale, now));
        }
        post(&world, &postings).await;
        assert_eq!(world.engine.compare_earnings_nightly().await.unwrap(), 120);
        // Nothing is rolled up yet, and the check says so.
        let findings = world.engine.check().await.unwrap();
        assert_eq!(findings.len(), 120);
        assert!(findings.iter().all(|finding| finding.invariant == Invariant::I7));
    }
}
