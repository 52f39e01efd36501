//! Debts that the platform gives up.

use engine::{By, WrittenOff};
use entities::{audit_log, handle, ledger as table};
use uuid::Uuid;
use workflows::{
    id::{CheckoutId, HandleId},
    ledger::{self, Sale},
    money::{Currency, Money},
    stripe::{Dispute, DisputeStatus},
};

use crate::{earnings::post, on_both, world::World};

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::USD)
}

/// A dispute of 10 dollars that is lost, and of which nothing could be taken back from the creator.
async fn in_debt(world: &World) {
    let row = handle::Handle {
        id: world.handle.0,
        name: "ada".to_owned(),
        display_name: "Ada".to_owned(),
        owner: "user_1".to_owned(),
        created_at: 0,
    };
    assert!(handle::insert(world.engine.database().write(), &row).await.unwrap());
    let sale = Sale {
        checkout: CheckoutId(Uuid::now_v7()),
        handle: world.handle,
        page: world.page,
        campaign: None,
        account: "acct_1".to_owned(),
        amount: 1_000,
        fee: 50,
        currency: Currency::USD,
    };
    let lost = Dispute {
        id: "dp_1".to_owned(),
        amount: 1_000,
        status: DisputeStatus::Lost,
        reason: "fraudulent".to_owned(),
        withdrawn: 1_000,
        fee: 1_500,
        reinstated: 0,
        fee_reinstated: 0,
        currency: workflows::money::Currency::USD,
        evidence_due: None,
    };
    let postings = [
        ledger::dispute_withdrawn(&sale, &lost, ledger::Moved::default()),
        ledger::dispute_lost(&sale, &lost, lost.withdrawn, 0),
    ];
    post(world, &postings).await;
}

on_both! {
    async fn a_debt_is_given_up_once_and_never_more_than_is_owed(world: World) {
        in_debt(&world).await;
        let olga = By { reason: Some("closed shop".to_owned()), ..By::new("olga") };
        let give_up = |minor| world.engine.write_off(world.handle, usd(minor), &olga);
        assert_eq!(give_up(0).await.unwrap(), WrittenOff::OwesLess(1_000));
        assert_eq!(give_up(1_001).await.unwrap(), WrittenOff::OwesLess(1_000));
        // Two people at once: the second sees what the first left.
        let (one, two) = tokio::join!(give_up(600), give_up(600));
        let mut outcomes = [one.unwrap(), two.unwrap()];
        outcomes.sort_by_key(|outcome| *outcome != WrittenOff::Done);
        assert_eq!(outcomes, [WrittenOff::Done, WrittenOff::OwesLess(400)]);
        let db = world.engine.database().read();
        let owed = table::debt_of_creator(db, world.handle.0, "USD").await.unwrap();
        assert_eq!(owed, 400);
        let noted = audit_log::list(db, world.handle.0, Uuid::max(), 10).await.unwrap();
        let noted: Vec<_> = noted.into_iter().map(|one| (one.action, one.target, one.reason)).collect();
        let expected = ("debt.write_off".to_owned(), "6.00 USD".to_owned(), Some("closed shop".to_owned()));
        assert_eq!(noted, [expected]);
        let nobody = HandleId(Uuid::now_v7());
        let unknown = world.engine.write_off(nobody, usd(1), &olga).await.unwrap();
        assert_eq!(unknown, WrittenOff::UnknownHandle);
        assert!(table::unbalanced_any_handle(db).await.unwrap().is_empty());
    }
}
