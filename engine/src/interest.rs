//! Interest: what visitors want of group buys is counted in groups. One transaction holds the group buys of all
//! that queued meanwhile, and writes each one's count once: a hot group buy costs one update, however many come.
//!
//! The transaction in which a count reaches its target activates the group buy, and sends the one message of it.
//! Whoever waits behind it finds the group buy activated: it stays so, whatever is withdrawn.

mod tally;

use std::collections::BTreeMap;

use entities::{group_buy, group_buy_activation, inbox, interest, together::Together};
use sea_orm::ConnectionTrait;
use uuid::Uuid;
use workflows::{
    group_buy::Event,
    id::{GroupBuyId, HandleId, VisitorId},
    message::Message,
};

use crate::{
    Engine, EngineError, WakeUp,
    gather::{Gatherer, WriteGroup},
    send,
    wake::Work,
};
use tally::Tally;

/// What a visitor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// In which group buy.
    pub group_buy: GroupBuyId,
    /// Who.
    pub visitor: VisitorId,
    /// What.
    pub change: Change,
}

/// What becomes of a visitor's interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So many are wanted, at least one. The same again changes nothing.
    Want(i64),
    /// None are. Who wanted none before changes nothing.
    Withdraw,
}

/// Where a group buy and a visitor's interest in it stand after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// `COLLECTING` or `ACTIVATED`; any, where nothing was withdrawn.
    pub status: String,
    /// The sum of the active interests.
    pub interest_quantity: i64,
    /// How many visitors are interested.
    pub interest_count: i64,
    /// The visitor's interest, if there is one.
    pub interest: Option<interest::Interest>,
    /// Whether the visitor was interested before.
    pub before: Before,
}

/// Whether a visitor was interested before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Yes.
    Interested,
    /// No.
    NotInterested,
}

/// Why nothing was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// There is no such group buy.
    Unknown,
    /// It is not collecting: `DRAFT`, `LAPSED` or `CANCELLED`.
    Status(String),
    /// Its deadline has passed.
    Deadline,
}

/// The way in for interest. Clones share the queue; the group writer ends with the last of them.
#[derive(Clone)]
pub struct Interests(Gatherer<Counter>);

impl Interests {
    /// Starts the group writer.
    pub fn start(engine: Engine) -> Self {
        Self(Gatherer::start(Counter(engine)))
    }

    /// Counts what a visitor says. When this returns, it is committed.
    pub async fn count(&self, wish: Wish) -> Result<Result<Counted, Closed>, EngineError> {
        self.0.write(wish).await
    }
}

/// Writes groups of wishes.
pub struct Counter(Engine);

impl WriteGroup for Counter {
    type Item = Wish;
    type Answer = Result<Counted, Closed>;
    const GROUP_SIZE: &'static str = "sluice_interest_group_size";

    async fn write(&self, wishes: Vec<Wish>) -> Result<Vec<Self::Answer>, EngineError> {
        let engine = &self.0;
        let transaction = engine.database.begin().await?;
        let mut tallies = hold(engine, &transaction, &wishes).await?;
        let answers = wishes
            .iter()
            .map(|wish| match tallies.get_mut(&wish.group_buy.0) {
                Some(tally) => tally.count(wish.visitor.0, wish.change),
                None => Err(Closed::Unknown),
            })
            .collect();
        let changed: Vec<_> = tallies.into_values().filter(Tally::is_changed).collect();
        if changed.is_empty() {
            transaction.rollback().await?;
            return Ok(answers);
        }
        let activated = save(engine, &transaction, &changed).await?;
        // One visitor may stand in the group twice: to write it again could count what was wanted in between.
        transaction.commit().await.map_err(EngineError::Uncertain)?;
        if activated {
            engine.wake(WakeUp::of(Work::Inbox));
        }
        Ok(answers)
    }
}

/// Holds the group buys that are meant, and reads what their visitors have wanted so far.
async fn hold(
    engine: &Engine,
    db: &impl ConnectionTrait,
    wishes: &[Wish],
) -> Result<BTreeMap<Uuid, Tally>, EngineError> {
    let mut ids: Vec<_> = wishes.iter().map(|wish| wish.group_buy.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let held = group_buy::hold(db, &engine.clock, &ids).await?;
    let mut tallies: BTreeMap<_, _> =
        held.into_iter().map(|held| (held.id, Tally::of(held))).collect();
    let mut pairs: Vec<_> = wishes.iter().map(|wish| (wish.group_buy.0, wish.visitor.0)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    // In a statement of its own: it sees what was committed while the rows were waited for.
    for active in interest::active(db, &pairs).await? {
        if let Some(tally) = tallies.get_mut(&active.group_buy_id) {
            tally.know(active);
        }
    }
    Ok(tallies)
}

/// Writes what has changed, and says whether anything was activated.
async fn save(
    engine: &Engine,
    db: &impl ConnectionTrait,
    tallies: &[Tally],
) -> Result<bool, EngineError> {
    let ends: Vec<_> = tallies.iter().flat_map(Tally::ends).collect();
    if !ends.is_empty() {
        let mut first = Together::new(engine.database.dialect());
        interest::end(&mut first, &ends);
        first.execute(db).await?;
    }
    let mut together = Together::new(engine.database.dialect());
    let begun: Vec<_> = tallies.iter().flat_map(Tally::begun).cloned().collect();
    if !begun.is_empty() {
        interest::insert(&mut together, &begun);
    }
    let counts: Vec<_> = tallies.iter().map(Tally::total).collect();
    group_buy::count(&mut together, &counts);
    together.execute(db).await?;
    let mut activated = false;
    for tally in tallies {
        let Some(activation) = tally.activation() else { continue };
        activated = true;
        group_buy_activation::insert(db, activation).await?;
        let group_buy = GroupBuyId(activation.group_buy_id);
        let event = Event::ThresholdReached { through: activation.position };
        let message = Message::GroupBuy(group_buy, event);
        let handle = Some(HandleId(tally.handle()));
        let row = send::row("interest", group_buy.to_string(), &message, handle)?;
        inbox::insert(db, &engine.clock, &[row]).await?;
    }
    Ok(activated)
}
