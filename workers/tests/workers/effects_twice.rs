//! Every effect is performed twice and its first answer is lost, and nobody can tell afterwards
//! (scenarios 16 and 17, invariant I2).

use std::{collections::HashMap, num::NonZeroUsize, sync::Mutex};

use async_trait::async_trait;
use engine::{Perform, Slots, Task, Trouble};
use entities::{ledger, outbox, rollup_queue};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workflows::{
    effect::{Answer, Queue},
    id::{CheckoutId, EffectId, RefundId, RunId},
    refund::Refund,
    workflow::Workflow,
};

use crate::{on_both, sim::text, world::World};

/// Does everything twice, and loses what it hears the first time.
struct Twice<P> {
    inner: P,
    /// Whose first answer was lost, and what it was.
    lost: Mutex<HashMap<EffectId, String>>,
}

impl<P> Twice<P> {
    fn new(inner: P) -> Self {
        Self { inner, lost: Mutex::default() }
    }
}

#[async_trait]
impl<P: Perform> Perform for Twice<P> {
    async fn perform(&self, task: &Task) -> Result<Answer, Trouble> {
        let first = self.inner.perform(task).await;
        let second = self.inner.perform(task).await;
        assert_eq!(first.is_ok(), second.is_ok(), "{task:?}: {first:?}, then {second:?}");
        let kind: &'static str = (&task.effect).into();
        if self.lost.lock().unwrap().insert(task.id, kind.to_owned()).is_none() {
            let message = "the answer is lost".to_owned();
            return Err(Trouble::Transient { retry_after: None, message });
        }
        second
    }

    async fn find(&self, task: &Task) -> Result<Option<Answer>, Trouble> {
        self.inner.find(task).await
    }
}

on_both! {
    async fn s16_s17_twice_is_once(world: World) {
        let performers = world.performers();
        let undisturbed = told(&world, &*performers.stripe, &*performers.mail).await;

        let disturbed_world = World::sqlite().await;
        let stripe = Twice::new(disturbed_world.sim.performer());
        let mail = Twice::new(disturbed_world.mailer(workers::mail::Transport::Directory(
            disturbed_world.mail_directory(),
        )));
        let disturbed = told(&disturbed_world, &stripe, &mail).await;
        // Two receipts and a word about the refund.
        assert_eq!(mail.lost.lock().unwrap().len(), 3, "the first answer of each mail was lost");
        let lost = stripe.lost.lock().unwrap();
        let mut kinds: Vec<_> = lost.values().map(String::as_str).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let expected = [
            "create_checkout_session",
            "create_refund",
            "create_transfer",
            "expire_checkout_session",
            "retrieve_charge",
            "reverse_transfer",
        ];
        assert_eq!(kinds, expected, "the first answer of each kind of call was lost");
        assert_eq!(disturbed, undisturbed);
    }
}

/// A sale that is disputed in vain, a duplicate that is given back, one that is called off and one that nobody
/// pays; then all that can be seen of them, without ids.
async fn told(world: &World, stripe: &dyn Perform, mail: &dyn Perform) -> Value {
    let visitor = world.visitor().await;
    let ids = [
        world.request_of(visitor).await,
        world.request_of(visitor).await,
        world.request().await,
        world.request().await,
    ];
    work_off(world, stripe, mail).await;
    let session = async |id: CheckoutId| world.checkout(id).await.session_id.unwrap();
    for id in &ids[..2] {
        world.sim.pay(&session(*id).await, "paid").await;
        world.deliver(&world.events().await).await;
        work_off(world, stripe, mail).await;
    }
    dispute_in_vain(world, ids[0], stripe, mail).await;
    let run = world.engine.find_run("checkout", ids[2].0).await.unwrap().unwrap();
    assert!(
        world
            .engine
            .cancel(workflows::id::RunId(run.id), "r1", &engine::By::new("olga"))
            .await
            .unwrap()
    );
    work_off(world, stripe, mail).await;
    world.sim.pay(&session(ids[3]).await, "expired").await;
    let performer = world.sim.performer();
    workers::balance_transactions::import(&world.engine, &performer).await.unwrap();
    world.deliver(&world.events().await).await;
    work_off(world, stripe, mail).await;
    assert_eq!(world.engine.check().await.unwrap(), []);
    seen(world, &ids).await
}

/// The buyer's bank takes the money, and has to give it back.
async fn dispute_in_vain(world: &World, id: CheckoutId, stripe: &dyn Perform, mail: &dyn Perform) {
    let intent = world.checkout(id).await.payment_intent.unwrap();
    let dispute = world.sim.control(&format!("charges/{intent}/dispute"), json!({})).await;
    world.deliver(&world.events().await).await;
    work_off(world, stripe, mail).await;
    assert_eq!(world.checkout(id).await.status, "DISPUTED");
    let path = format!("disputes/{}/close", text(&dispute["id"]));
    world.sim.control(&path, json!({ "status": "won" })).await;
    world.deliver(&world.events().await).await;
    work_off(world, stripe, mail).await;
    assert_eq!(world.checkout(id).await.status, "SETTLED");
}

/// Until nothing is left, however often the first answer was lost.
async fn work_off(world: &World, stripe: &dyn Perform, mail: &dyn Perform) {
    let (slots, stop) = (Slots(NonZeroUsize::new(4).unwrap()), CancellationToken::new());
    loop {
        world.engine.sweep(&world.bells).await.unwrap();
        let mut done = world.engine.drain().await.unwrap();
        for (queue, performer) in [(Queue::Stripe, stripe), (Queue::Mail, mail)] {
            done += world.engine.perform_due(queue, performer, slots, &stop).await.unwrap();
        }
        done += world.engine.perform_local().await.unwrap();
        let db = world.engine.database().read();
        let left = outbox::count_unfinished_any_handle(db).await.unwrap();
        let unfolded = rollup_queue::handles(db, Uuid::nil(), 1).await.unwrap();
        if done == 0 && left.is_empty() && unfolded.is_empty() {
            return;
        }
        world.pass(1).await;
    }
}

async fn seen(world: &World, ids: &[CheckoutId]) -> Value {
    let db = world.engine.database().read();
    let mut rows = Vec::new();
    for id in ids {
        let row = world.checkout(*id).await;
        rows.push(json!([row.status, row.reason, row.session_id.is_some(), row.url.is_some()]));
    }
    let balances: Vec<_> = ledger::balances_by_kind_any_handle(db)
        .await
        .unwrap()
        .into_iter()
        .map(|row| json!([row.kind, row.account.split(':').next(), row.currency, row.balance]))
        .collect();
    let mut mails = Vec::new();
    for id in ids {
        let duplicate = RunId::of(Refund::NAME, RefundId::of(*id, "duplicate").0);
        let of_refund = outbox::of_run(db, duplicate.0).await.unwrap();
        for effect in world.effects(*id).await.iter().chain(&of_refund) {
            if effect.kind == "send_mail" {
                mails.push(format!("{}.eml", EffectId(effect.id)));
            }
        }
    }
    mails.sort();
    assert_eq!(world.mails(), mails, "one mail for each effect, under its name");
    let mut summary = world.sim.summary().await;
    let accounts: Vec<_> = summary["accounts"].as_object().unwrap().values().cloned().collect();
    let events: Vec<_> =
        world.sim.list("/v1/events").await.iter().map(|event| text(&event["type"])).collect();
    summary["counts"].as_object_mut().unwrap().remove("events");
    json!({
        "purchases": rows,
        "ledger": balances,
        "transactions": ledger::count_any_handle(db).await.unwrap(),
        "mails": mails.len(),
        "stripe": { "accounts": accounts, "platform": summary["platform"], "counts": summary["counts"] },
        "events": events.len(),
    })
}
