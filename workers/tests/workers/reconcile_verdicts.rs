//! Verdicts on movements of money (scenarios 22 and 33), and what becomes of differences.

use engine::By;
use entities::{
    audit_log, operator_case,
    statement::execute,
    verdict::{self, Verdict},
};
use serde_json::{Value, json};
use uuid::Uuid;
use workers::reconcile::{Counts, Extent, Repair};
use workflows::{Timestamp, id::CheckoutId};

use crate::{
    on_both,
    patience::{LONG, until_so},
    sim::text,
    world::{PRICE, World},
};

const ALL: Extent = Extent::All { since: None };
/// What happened so long ago, in seconds, is not under way any more.
const SETTLED: i64 = 1_000;

/// A page that is paid at Stripe, and the payment.
async fn paid(world: &World) -> (CheckoutId, String) {
    let workers = world.start_workers(world.performers());
    let (id, session) = world.open_page().await;
    workers.shutdown(LONG).await;
    (id, text(&world.sim.pay(&session, "paid").await["payment_intent"]))
}

async fn judge(world: &World) -> Counts {
    let reconciler = world.reconciler();
    assert_eq!(reconciler.events(ALL).await.unwrap().unwrap().stopped, None);
    let report = reconciler.movements(ALL).await.unwrap().unwrap();
    assert_eq!(report.stopped, None);
    report.counts
}

async fn settle(world: &World, id: CheckoutId) {
    let workers = world.start_workers(world.performers());
    world.reaches(id, "Settled").await;
    world.reconciler().fees().await.unwrap();
    let fees = "SELECT count(*) FROM ledger_transaction WHERE kind = 'processor_fee'";
    until_so("the processor's fee", LONG, async || world.counted(fees).await == 1).await;
    workers.shutdown(LONG).await;
}

/// The platform sells something else, without Sluice.
async fn tea(world: &World) -> String {
    let form = "mode=payment&success_url=https://example.test/done&line_items[0][quantity]=1\
                &line_items[0][price_data][currency]=usd\
                &line_items[0][price_data][unit_amount]=9900\
                &line_items[0][price_data][product_data][name]=Tea";
    let session = text(&world.sim.by_hand("/v1/checkout/sessions", form).await["id"]);
    text(&world.sim.pay(&session, "paid").await["payment_intent"])
}

/// The creator's account is known here, as its onboarding makes it.
async fn connected(mut world: World) -> World {
    let workers = world.start_workers(world.performers());
    world.connect().await;
    workers.shutdown(LONG).await;
    world
}

/// Events come in, and all that they lead to is done.
async fn reconciled(world: &World) {
    let reconciler = world.reconciler();
    assert_eq!(reconciler.events(ALL).await.unwrap().unwrap().stopped, None);
    reconciler.fees().await.unwrap();
    let workers = world.start_workers(world.performers());
    world.comes_to_rest().await;
    let left = "(SELECT count(*) FROM inbox WHERE status = 'PENDING') \
                + (SELECT count(*) FROM outbox WHERE status IN ('PENDING', 'LEASED'))";
    until_so("nothing is left to do", LONG, async || world.counted(left).await == 0).await;
    workers.shutdown(LONG).await;
}

fn differences(counts: Counts) -> i64 {
    counts.missing_here + counts.missing_at_stripe + counts.amount_differs
}

/// Open cases of the reconciliation. By night the earnings are compared as well, and a posting that no machine made
/// is not in them.
async fn cases(world: &World) -> Vec<operator_case::OperatorCase> {
    let db = world.engine.database().read();
    let mut cases = operator_case::list_open_any_handle(db, 10).await.unwrap();
    cases.retain(|case| case.kind != "earnings_difference");
    cases
}

async fn verdict_of(world: &World, key: &str) -> Option<Verdict> {
    verdict::find(world.engine.database().read(), key).await.unwrap()
}

/// A posting that no machine made.
async fn post(world: &World, key: &str, amount: i64) {
    let db = world.engine.database().write();
    let two_hours_ago = world.engine.clock().local_millis() - 2 * Timestamp::HOUR;
    let object = key.split_once(':').unwrap().1;
    let sql = "INSERT INTO ledger_transaction (key, kind, currency, handle_id, checkout_id, page_id, \
               stripe_object, available_amount, at) VALUES ($1, 'paid', 'USD', $2, $3, $4, $5, 0, $6)";
    let values = vec![
        key.into(),
        world.handle.0.into(),
        Uuid::now_v7().into(),
        world.page.0.into(),
        object.into(),
        two_hours_ago.into(),
    ];
    execute(db, sql, values).await.unwrap();
    for (n, account, amount) in [(1, "stripe", amount), (2, "creator:acct_1", -amount)] {
        let sql = "INSERT INTO ledger_entry (transaction_id, n, account, amount) \
                   SELECT id, $2, $3, $4 FROM ledger_transaction WHERE key = $1";
        execute(db, sql, vec![key.into(), n.into(), account.into(), amount.into()]).await.unwrap();
    }
}

on_both! {
    async fn what_is_under_way_is_no_difference_and_what_is_foreign_is_left_alone(world: World) {
        let (id, intent) = paid(&world).await;
        assert_eq!(judge(&world).await, Counts::default(), "it happened just now");
        settle(&world, id).await;
        let foreign = tea(&world).await;
        world.pass(SETTLED).await;
        let counts = judge(&world).await;
        assert_eq!(counts.matched, 2, "the sale and its fee: {counts:?}");
        assert_eq!(counts.missing_here + counts.missing_at_stripe + counts.amount_differs, 0);
        assert_eq!(verdict_of(&world, &format!("paid:{intent}")).await.unwrap().verdict, "matched");
        assert_eq!(verdict_of(&world, &format!("paid:{foreign}")).await, None);
        assert_eq!(cases(&world).await, []);
    }

    async fn s33_what_is_missing_here_is_a_case_until_it_comes(world: World) {
        let (id, intent) = paid(&world).await;
        world.pass(SETTLED).await;
        // The events come in now, but nobody works them off.
        let counts = judge(&world).await;
        assert_eq!(counts.missing_here, 1, "its fee waits for it: {counts:?}");
        let key = format!("paid:{intent}");
        let open = cases(&world).await;
        let case = open.iter().find(|case| case.key == key).expect("a case");
        assert_eq!((open.len(), case.kind.as_str()), (1, "missing_here"));
        assert!(case.detail.contains("10.00 USD") && case.detail.contains(&intent), "{case:?}");
        assert!(case.detail.contains("Apply this case"), "{case:?}");
        assert_eq!(judge(&world).await.missing_here, 1, "it is still missing");
        assert_eq!(cases(&world).await.len(), 1, "and one case");

        settle(&world, id).await;
        judge(&world).await;
        assert_eq!(cases(&world).await, []);
        let closed = operator_case::find(world.engine.database().read(), case.id).await.unwrap();
        assert_eq!(closed.unwrap().status, "CLOSED");
        let told = "SELECT count(*) FROM operator_case WHERE closed_because LIKE '%settled%'";
        assert_eq!(world.counted(told).await, 1, "why they are closed");
        // Should it be missing once more, the case is open again.
        let again = [operator_case::OperatorCase { id: Uuid::now_v7(), ..case.clone() }];
        operator_case::open(world.engine.database().write(), &again).await.unwrap();
        assert_eq!(cases(&world).await.len(), 1);
    }

    async fn a_case_is_applied(world: World) {
        let (id, intent) = paid(&world).await;
        world.pass(SETTLED).await;
        judge(&world).await;
        // What was heard went by unheeded.
        let db = world.engine.database().write();
        let lost = "UPDATE inbox SET status = 'IGNORED' WHERE source = 'stripe'";
        assert_eq!(execute(db, lost, vec![]).await.unwrap(), 1);
        let key = format!("paid:{intent}");
        let case = cases(&world).await.into_iter().find(|case| case.key == key).unwrap();
        let by = By::new("olga");
        let applied = world.reconciler().apply(&case, &by).await.unwrap();
        assert_eq!(applied, Repair::PutIn);
        // Twice does no harm.
        assert_eq!(world.reconciler().apply(&case, &by).await.unwrap(), Repair::PutIn);
        settle(&world, id).await;
        judge(&world).await;
        assert_eq!(cases(&world).await, []);
        let noted = audit_log::list_any_handle(db, Uuid::max(), 10).await.unwrap();
        let actions: Vec<_> = noted.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["case.apply", "case.apply"]);
        let closed = operator_case::find(db, case.id).await.unwrap().unwrap();
        let applied = world.reconciler().apply(&closed, &by).await.unwrap();
        assert!(matches!(applied, Repair::ForAPerson(_)), "{applied:?}");
    }

    async fn s22_a_refund_in_the_dashboard_that_nobody_posted_is_missing_here(world: World) {
        let (id, intent) = paid(&world).await;
        judge(&world).await;
        settle(&world, id).await;
        let form = format!("payment_intent={intent}&amount=300&reverse_transfer=true");
        let refund = text(&world.sim.by_hand("/v1/refunds", &form).await["id"]);
        world.pass(SETTLED).await;
        let counts = judge(&world).await;
        // What comes back from the creator with the refund is posted with the refund.
        assert_eq!((counts.matched, counts.missing_here), (2, 1), "{counts:?}");
        let open = cases(&world).await;
        assert_eq!((open.len(), &open[0].key), (1, &format!("refund:{refund}")), "{open:?}");
        assert!(open[0].detail.contains("-3.00 USD"), "{open:?}");
    }

    async fn what_goes_back_and_out_is_matched_when_it_is_over(world: World) {
        let world = connected(world).await;
        // For the platform to have something to pay out. Its session is nobody's here, and set aside after a while.
        tea(&world).await;
        judge(&world).await;
        world.pass(SETTLED).await;
        let mut intents = Vec::new();
        for _ in 0..4 {
            let (id, intent) = paid(&world).await;
            reconciled(&world).await;
            assert_eq!(world.state(id).await, "Settled");
            intents.push(intent);
        }
        let form = format!("payment_intent={}&amount=300&reverse_transfer=true", intents[0]);
        world.sim.by_hand("/v1/refunds", &form).await;
        for (intent, verdict) in [(&intents[1], "won"), (&intents[2], "lost")] {
            let dispute = world.sim.control(&format!("charges/{intent}/dispute"), json!({})).await;
            reconciled(&world).await;
            let path = format!("disputes/{}/close", text(&dispute["id"]));
            world.sim.control(&path, json!({ "status": verdict })).await;
            reconciled(&world).await;
        }
        let paid_out = async |to: Value| text(&world.sim.control("payouts", to).await["id"]);
        let of_platform = paid_out(json!({ "currency": "usd", "amount": 10 })).await;
        let account = world.account.clone();
        let to_creator = json!({ "account": account, "currency": "usd", "amount": 100 });
        let of_creator = paid_out(to_creator.clone()).await;
        let called_off = paid_out(to_creator).await;
        reconciled(&world).await;

        // Payouts are on their way for days, and no difference.
        world.pass(SETTLED).await;
        let counts = judge(&world).await;
        assert_eq!(differences(counts), 0, "{counts:?} {:?}", cases(&world).await);
        let verdict = async |payout: &str| {
            let kept = verdict_of(&world, &format!("payout:{payout}")).await;
            kept.map(|kept| kept.verdict)
        };
        for payout in [&of_platform, &of_creator, &called_off] {
            assert_eq!(verdict(payout).await.as_deref(), Some("under_way"), "{payout}");
        }
        for (payout, status) in
            [(&of_platform, "paid"), (&of_creator, "paid"), (&called_off, "canceled")]
        {
            world.sim.control(&format!("payouts/{payout}"), json!({ "status": status })).await;
        }
        world.pass(7 * 86_400).await;
        reconciled(&world).await;
        // One that arrived, and was sent back after that.
        world.sim.control(&format!("payouts/{of_creator}"), json!({ "status": "failed" })).await;
        reconciled(&world).await;
        world.pass(SETTLED).await;
        let counts = judge(&world).await;
        assert_eq!(differences(counts), 0, "{counts:?} {:?}", cases(&world).await);
        for payout in [&of_platform, &of_creator, &called_off] {
            assert_eq!(verdict(payout).await.as_deref(), Some("matched"), "{payout}");
        }
        let failed = format!("payout_failed:{of_creator}");
        assert_eq!(verdict_of(&world, &failed).await.unwrap().verdict, "matched");
        for kind in ["refund", "dispute_withdrawn", "dispute_reinstated", "reversal"] {
            let sql = format!(
                "SELECT count(*) FROM verdict WHERE key LIKE '{kind}:%' AND verdict = 'matched'"
            );
            assert!(world.counted(&sql).await > 0, "{kind}");
        }
    }

    async fn a_payout_that_arrived_and_was_not_posted_is_missing_here(world: World) {
        let world = connected(world).await;
        let (id, _) = paid(&world).await;
        judge(&world).await;
        settle(&world, id).await;
        let to = json!({ "account": world.account, "currency": "usd", "amount": 100 });
        let payout = text(&world.sim.control("payouts", to).await["id"]);
        world.pass(SETTLED).await;
        assert_eq!(differences(judge(&world).await), 0);
        world.sim.control(&format!("payouts/{payout}"), json!({ "status": "paid" })).await;
        world.pass(7 * 86_400).await;
        assert_eq!(judge(&world).await.missing_here, 1);
        let open = cases(&world).await;
        assert_eq!(open[0].key, format!("payout:{payout}"));
        assert!(open[0].detail.contains(&world.account), "{open:?}");

        // The events are lost; the case is applied.
        let db = world.engine.database().write();
        let lost = "UPDATE inbox SET status = 'IGNORED' WHERE status = 'PENDING' AND source = 'stripe'";
        assert!(execute(db, lost, vec![]).await.unwrap() > 0);
        let by = By::new("olga");
        assert_eq!(world.reconciler().apply(&open[0], &by).await.unwrap(), Repair::PutIn);
        reconciled(&world).await;
        assert_eq!(differences(judge(&world).await), 0);
        assert_eq!(cases(&world).await, []);
    }

    async fn what_stripe_does_not_know_is_a_case(world: World) {
        let (id, _) = paid(&world).await;
        world.pass(3 * 3_600).await;
        post(&world, "paid:pi_nowhere", PRICE).await;
        judge(&world).await;
        settle(&world, id).await;
        let counts = judge(&world).await;
        assert_eq!(counts.missing_at_stripe, 0, "it is found once: {counts:?}");
        let open = cases(&world).await;
        assert_eq!(open.len(), 1, "{open:?}");
        assert_eq!((open[0].kind.as_str(), open[0].key.as_str()), ("missing_at_stripe", "paid:pi_nowhere"));
        let by = By { reason: Some("another account's".to_owned()), ..By::new("olga") };
        let applied = world.reconciler().apply(&open[0], &by).await.unwrap();
        assert!(matches!(applied, Repair::ForAPerson(_)), "{applied:?}");
        assert!(world.engine.close_case(open[0].id, &by).await.unwrap());
        assert!(!world.engine.close_case(open[0].id, &by).await.unwrap(), "it is closed");
        judge(&world).await;
        assert_eq!(cases(&world).await, [], "what a person has closed stays closed");
    }

    async fn another_amount_is_a_case(world: World) {
        let (_, intent) = paid(&world).await;
        let key = format!("paid:{intent}");
        post(&world, &key, PRICE - 2).await;
        world.pass(SETTLED).await;
        let counts = judge(&world).await;
        assert_eq!(counts.amount_differs, 1, "{counts:?}");
        let open = cases(&world).await;
        assert!(open.iter().any(|case| case.kind == "amount_differs" && case.key == key), "{open:?}");
    }

    async fn a_minor_unit_is_rounding(world: World) {
        let (_, intent) = paid(&world).await;
        post(&world, &format!("paid:{intent}"), PRICE - 1).await;
        world.pass(SETTLED).await;
        let counts = judge(&world).await;
        assert_eq!((counts.amount_differs, counts.matched), (0, 1), "{counts:?}");
    }
}
