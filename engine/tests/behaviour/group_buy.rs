//! Group buys: one outcome, exact counts, and everybody told once, whatever dies on the way.

use std::collections::{BTreeMap, BTreeSet};

use engine::{
    Engine, Letter,
    interest::{Change, Closed, Counted, Interests, Wish},
};
use entities::{
    group_buy::{self, GroupBuy},
    group_buy_activation, outbox, run,
};
use futures::future::join_all;
use uuid::Uuid;
use workflows::{
    Timestamp,
    effect::{Effect, Mail, Queue},
    group_buy::{Event, GroupBuy as Machine, News, Outcome, Refusal},
    id::{GroupBuyId, RunId, VisitorId},
    message::Message,
    workflow::Workflow,
};

use crate::{
    crash::{cut, recover},
    on_both,
    world::{World, perform, settle_down},
};

/// More than three pages of those who are told.
const CROWD: u128 = 650;

fn visitor(n: u128) -> VisitorId {
    VisitorId(Uuid::from_u128((7 << 76) | n))
}

impl World {
    /// A group buy that collects.
    async fn collecting(&self, slug: &str, target: i64, deadline: Option<i64>) -> GroupBuyId {
        let id = GroupBuyId(Uuid::now_v7());
        let db = self.engine.database().write();
        let row = GroupBuy {
            id: id.0,
            handle_id: self.handle.0,
            slug: slug.to_owned(),
            title: "A drop".to_owned(),
            description: String::new(),
            target_quantity: target,
            visitor_limit: 1_000,
            deadline_at: deadline,
            status: "DRAFT".to_owned(),
            interest_quantity: 0,
            interest_count: 0,
            last_position: 0,
            published_at: None,
            ended_at: None,
            created_at: 0,
        };
        assert!(group_buy::insert(db, &row).await.unwrap());
        group_buy::publish(db, id.0, 1).await.unwrap();
        let deadline = deadline.map(Timestamp::from_millis);
        for (n, event) in
            [Event::Create { group_buy: id }, Event::Publish { deadline }].into_iter().enumerate()
        {
            let letter = Letter {
                source: "test",
                source_id: format!("{id}:{n}"),
                message: Message::GroupBuy(id, event),
                handle: Some(self.handle),
            };
            let sent = self.engine.send(db, letter).await.unwrap();
            self.engine.wake(sent.wake_up);
        }
        settle_down(&self.engine, &*self.stripe).await;
        id
    }

    async fn row(&self, id: GroupBuyId) -> GroupBuy {
        let db = self.engine.database().read();
        group_buy::find_any_handle(db, id.0).await.unwrap().unwrap()
    }

    async fn group_run(&self, id: GroupBuyId) -> run::Run {
        self.engine.find_run(Machine::NAME, id.0).await.unwrap().expect("the run")
    }

    /// Who was told what, and how often.
    async fn told(&self, id: GroupBuyId) -> BTreeMap<(VisitorId, News), usize> {
        let run = RunId::of(Machine::NAME, id.0);
        let effects = outbox::of_run(self.engine.database().read(), run.0).await.unwrap();
        let mut told = BTreeMap::new();
        for row in effects {
            let effect = serde_json::from_str(&row.effect).unwrap();
            if let Effect::SendMail(Mail::GroupBuy { visitor, news, .. }) = effect {
                *told.entry((visitor, news)).or_default() += 1;
            }
        }
        told
    }
}

async fn say(
    interests: &Interests,
    group_buy: GroupBuyId,
    who: u128,
    change: Change,
) -> Result<Counted, Closed> {
    let wish = Wish { group_buy, visitor: visitor(who), change };
    interests.count(wish).await.unwrap()
}

/// Nobody but these was told, and nobody twice.
#[track_caller]
fn expect_told(
    told: &BTreeMap<(VisitorId, News), usize>,
    news: News,
    who: impl Iterator<Item = u128>,
) {
    assert!(told.values().all(|times| *times == 1), "somebody was told twice");
    let expected: BTreeSet<_> = who.map(|n| (visitor(n), news)).collect();
    assert_eq!(told.keys().copied().collect::<BTreeSet<_>>(), expected);
}

async fn crowd(world: &World, id: GroupBuyId) {
    let interests = Interests::start(world.engine.clone());
    let all = join_all((0..CROWD).map(|n| say(&interests, id, n, Change::Want(1)))).await;
    assert!(all.iter().all(Result::is_ok));
}

on_both! {
    async fn s35_of_a_target_and_a_deadline_at_once_one_is_the_outcome(world: World) {
        let other = world.another_process().await;
        let processes: [(Engine, Interests); 2] =
            [world.engine.clone(), other].map(|engine| (engine.clone(), Interests::start(engine)));
        for round in 0..20_u64 {
            let id = world.collecting(&format!("drop-{round}"), 40, None).await;
            let says = join_all((0..50_u128).map(|n| {
                let (_, interests) = &processes[(n % 2) as usize];
                say(interests, id, n, Change::Want(1))
            }));
            let ends = async {
                for _ in 0..round {
                    tokio::task::yield_now().await;
                }
                let transaction = processes[1].0.database().begin().await.unwrap();
                let ended = engine::group_buy::end(&processes[1].0, &transaction, id, Refusal::Lapsed);
                let ended = ended.await.unwrap().unwrap();
                transaction.commit().await.unwrap();
                ended
            };
            let (said, (outcome, through)) = tokio::join!(says, ends);
            let row = world.row(id).await;
            let db = world.engine.database().read();
            let activation = group_buy_activation::find(db, id.0).await.unwrap();
            let counted = said.iter().filter(|one| one.is_ok()).count() as i64;
            assert_eq!((row.interest_quantity, row.interest_count), (counted, counted));
            match outcome {
                Outcome::Activated => {
                    assert_eq!((row.status.as_str(), counted), ("ACTIVATED", 50));
                    assert_eq!((activation.unwrap().position, through), (40, 40));
                }
                Outcome::Refused(refusal) => {
                    assert_eq!((row.status.as_str(), refusal), ("LAPSED", Refusal::Lapsed));
                    assert!(activation.is_none() && counted < 40, "{counted}");
                    assert!(said.contains(&Err(Closed::Status("LAPSED".to_owned()))));
                }
            }
        }
    }

    async fn everybody_is_told_once_though_every_await_is_cut(world: World) {
        for polls in 0.. {
            let id = world.collecting(&format!("drop-{polls}"), CROWD as i64, None).await;
            crowd(&world, id).await;
            // The run hears of it and begins; then each page, and what it leads to, is cut.
            let mut finished = true;
            for _ in 0..3 {
                let act = async {
                    world.engine.drain().await.unwrap();
                    world.engine.perform_local().await.unwrap();
                    perform(&world.engine, Queue::News, &*world.stripe).await;
                };
                finished &= cut(act, polls * 7).await;
            }
            recover(&world).await;
            expect_told(&world.told(id).await, News::Activated, 0..CROWD);
            let run = world.group_run(id).await;
            assert_eq!((run.status.as_str(), run.state_name.as_str()), ("DONE", "Activated"));
            if finished {
                assert!(polls > 3, "the act was never in the middle of anything");
                break;
            }
            assert!(polls < 200, "the act does not end");
        }
        world.check().await;
    }

    async fn who_withdraws_before_their_turn_is_not_told_and_who_wants_more_is(world: World) {
        let id = world.collecting("drop", CROWD as i64, None).await;
        crowd(&world, id).await;
        let interests = Interests::start(world.engine.clone());
        // Before anybody is told: half of the last page withdraws, the other wants more, and some come late.
        for n in 600..CROWD {
            let change = if n % 2 == 0 { Change::Withdraw } else { Change::Want(5) };
            say(&interests, id, n, change).await.unwrap();
        }
        say(&interests, id, 5_000, Change::Want(1)).await.unwrap();
        // And one who withdraws and comes back is interested still.
        say(&interests, id, 7, Change::Withdraw).await.unwrap();
        say(&interests, id, 7, Change::Want(1)).await.unwrap();
        settle_down(&world.engine, &*world.stripe).await;
        let stayed = (0..CROWD).filter(|n| *n < 600 || n % 2 == 1);
        expect_told(&world.told(id).await, News::Activated, stayed);
        world.check().await;
    }

    async fn a_deadline_ends_it_by_itself_and_an_operator_may_call_it_off(world: World) {
        let now = world.engine.clock().local_millis();
        let lapsing = world.collecting("lapsing", 9, Some(now + Timestamp::HOUR)).await;
        let cancelled = world.collecting("cancelled", 9, None).await;
        let interests = Interests::start(world.engine.clone());
        for id in [lapsing, cancelled] {
            for n in 0..3 {
                say(&interests, id, n, Change::Want(1)).await.unwrap();
            }
        }
        world.engine.clock().advance(Timestamp::HOUR);
        let late = say(&interests, lapsing, 3, Change::Want(9)).await;
        assert_eq!(late, Err(Closed::Deadline));
        let run = RunId::of(Machine::NAME, cancelled.0);
        let by = engine::By::new("ops");
        assert!(world.engine.cancel(run, "once", &by).await.unwrap());
        settle_down(&world.engine, &*world.stripe).await;
        expect_told(&world.told(lapsing).await, News::Lapsed, 0..3);
        expect_told(&world.told(cancelled).await, News::Cancelled, 0..3);
        for (id, status, run_status) in
            [(lapsing, "LAPSED", "DONE"), (cancelled, "CANCELLED", "CANCELLED")]
        {
            assert_eq!(world.row(id).await.status, status);
            assert_eq!(world.group_run(id).await.status, run_status);
        }
        let gone = GroupBuyId(Uuid::now_v7());
        assert_eq!(say(&interests, gone, 0, Change::Want(1)).await, Err(Closed::Unknown));
        world.check().await;
    }
}
