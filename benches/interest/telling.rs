//! Telling: from the interest that reaches the target to the last mail that is written down. The queue of mails is paused.

use std::time::{Duration, Instant};

use engine::Letter;
use entities::statement::{Number, execute, query_one};
use workflows::{
    group_buy::Event,
    id::{GroupBuyId, HandleId},
    message::Message,
};

use crate::{MANY, connection::Connection, installation::Installation, load, seed};

/// The group buy that is activated.
const NTH: usize = MANY + 1;
const PATIENCE: Duration = Duration::from_secs(600);

/// Activates a group buy of so many interests, by one more visitor.
pub async fn measure(installation: &Installation, interests: usize, visitor: &str) {
    begin(installation).await;
    seed::grow(installation, NTH, interests).await;
    let sql = "UPDATE group_buy SET target_quantity = interest_quantity + 1 WHERE id = $1";
    let db = installation.engine.database().write();
    execute(db, sql, vec![seed::group_buy(NTH).into()]).await.unwrap();
    let address = installation.address.to_string();
    let mut connection = Connection::open(&address).await;
    let started = Instant::now();
    connection.post(&load::request(&address, visitor, NTH)).await;
    println!("  activated by one of {interests}, answered in {:.1} ms", millis(started));
    let sealed = "SELECT count(*) AS number FROM group_buy_activation WHERE hash IS NOT NULL";
    until(installation, sealed, 1).await;
    println!("    list hashed after  {:.0} ms", millis(started));
    let told =
        "SELECT count(*) AS number FROM run WHERE workflow = 'group_buy' AND status = 'DONE'";
    until(installation, told, 1).await;
    let seconds = started.elapsed().as_secs_f64();
    println!("    mails written down {:.0} per second", interests as f64 / seconds);
}

/// The run that tells.
async fn begin(installation: &Installation) {
    let group_buy = GroupBuyId(seed::group_buy(NTH));
    let events = [Event::Create { group_buy }, Event::Publish { deadline: None }];
    let letters: Vec<_> = events
        .into_iter()
        .enumerate()
        .map(|(n, event)| Letter {
            source: "bench",
            source_id: format!("{n}"),
            message: Message::GroupBuy(group_buy, event),
            handle: Some(HandleId(seed::handle())),
        })
        .collect();
    let db = installation.engine.database().write();
    let _swept_soon = installation.engine.send_all(db, &letters).await.unwrap();
}

async fn until(installation: &Installation, sql: &str, number: i64) {
    let started = Instant::now();
    loop {
        let found: Option<Number> =
            query_one(installation.engine.database().read(), sql, vec![]).await.unwrap();
        if found.is_some_and(|found| found.number >= number) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{sql} never came to {number}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn millis(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}
