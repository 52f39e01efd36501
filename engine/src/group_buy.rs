//! What becomes of a group buy beside its count: it ends, and those who are interested are listed, a page at a time,
//! each in one transaction, so that it goes on where it was after a crash.

use entities::{
    group_buy, group_buy_activation,
    interest::{self, Interest, Part},
};
use sea_orm::{ConnectionTrait, DbErr};
use workflows::{
    activation_list::{Line, Sealing, Summary, head, lines},
    effect::{Answer, Failure},
    group_buy::{Outcome, Refusal},
    id::{GroupBuyId, VisitorId},
};

use crate::{Engine, EngineError};

/// How many visitors are told at a time.
const PAGE: u64 = 200;
/// How many lines of an activation's list are read at a time.
const LINES: u64 = 500;

/// Ends a group buy under its row's lock, unless it has ended, and says how it has and where its interests end.
/// None, where there is no such group buy.
pub async fn end(
    engine: &Engine,
    db: &impl ConnectionTrait,
    id: GroupBuyId,
    refusal: Refusal,
) -> Result<Option<(Outcome, i64)>, EngineError> {
    let held = group_buy::hold(db, engine.clock(), &[id.0]).await?;
    let Some(held) = held.into_iter().next() else { return Ok(None) };
    Ok(Some(match held.status.as_str() {
        "ACTIVATED" => {
            let activation = group_buy_activation::find(db, id.0).await?;
            let through = activation.map_or(held.last_position, |activation| activation.position);
            (Outcome::Activated, through)
        }
        "LAPSED" => (Outcome::Refused(Refusal::Lapsed), held.last_position),
        "CANCELLED" => (Outcome::Refused(Refusal::Cancelled), held.last_position),
        _ => {
            group_buy::end(db, id.0, refusal.into(), held.now).await?;
            (Outcome::Refused(refusal), held.last_position)
        }
    }))
}

/// The same, as an effect's answer.
pub async fn ended(
    engine: &Engine,
    db: &impl ConnectionTrait,
    id: GroupBuyId,
    refusal: Refusal,
) -> Result<Answer, EngineError> {
    Ok(match end(engine, db, id, refusal).await? {
        Some((outcome, through)) => Answer::GroupBuyEnded { outcome, through },
        None => gone(id),
    })
}

/// A page of those who were interested at the end, and are still.
pub async fn list(
    db: &impl ConnectionTrait,
    id: GroupBuyId,
    after: i64,
    through: i64,
) -> Result<Answer, EngineError> {
    let part = Part { group_buy: id.0, after, through, limit: PAGE };
    let page = interest::list_interested(db, part).await?;
    let full = page.len() as u64 == PAGE;
    Ok(Answer::InterestedListed {
        visitors: page.iter().map(|interest| VisitorId(interest.visitor_id)).collect(),
        after: page.last().filter(|_| full).map(|last| last.position),
    })
}

/// Seals the record of an activation with the hash of its list, which does not change and was read before.
pub async fn seal(
    db: &impl ConnectionTrait,
    id: GroupBuyId,
    read: Option<Listed>,
) -> Result<Answer, EngineError> {
    let Some(Listed { hash, .. }) = read else { return Ok(gone(id)) };
    group_buy_activation::seal(db, id.0, &hash).await?;
    Ok(Answer::ActivationSealed { hash })
}

/// What the list of an activation comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// SHA-256, hexadecimal.
    pub hash: String,
    /// The sum of its quantities.
    pub quantity: i64,
    /// How many interests there are.
    pub interests: i64,
}

/// Reads the list of a group buy's activation, if it was activated.
pub async fn read(db: &impl ConnectionTrait, id: GroupBuyId) -> Result<Option<Listed>, DbErr> {
    let Some(mut list) = ActivationList::of(db, id).await? else { return Ok(None) };
    let mut sealing = Sealing::default();
    while let Some(text) = list.next(db).await? {
        sealing.write(&text);
    }
    Ok(Some(Listed { hash: sealing.seal(), quantity: list.quantity, interests: list.interests }))
}

/// The list of the interests that activated a group buy, read in parts.
pub struct ActivationList {
    summary: Summary,
    part: Part,
    begun: bool,
    ended: bool,
    /// What was read so far comes to.
    quantity: i64,
    interests: i64,
}

impl ActivationList {
    /// The list of a group buy, if it was activated.
    pub async fn of(db: &impl ConnectionTrait, id: GroupBuyId) -> Result<Option<Self>, DbErr> {
        let found = group_buy_activation::find(db, id.0).await?;
        Ok(found.map(|activation| Self {
            summary: Summary {
                group_buy: id,
                target: activation.target_quantity,
                quantity: activation.quantity,
                interests: activation.interest_count,
            },
            part: Part { group_buy: id.0, after: 0, through: activation.position, limit: LINES },
            begun: false,
            ended: false,
            quantity: 0,
            interests: 0,
        }))
    }

    /// The next part of its text.
    pub async fn next(&mut self, db: &impl ConnectionTrait) -> Result<Option<String>, DbErr> {
        if !std::mem::replace(&mut self.begun, true) {
            return Ok(Some(head(&self.summary)));
        }
        if self.ended {
            return Ok(None);
        }
        let page = interest::list_standing(db, self.part).await?;
        self.ended = (page.len() as u64) < LINES;
        let Some(last) = page.last() else { return Ok(None) };
        self.part.after = last.position;
        self.quantity += page.iter().map(|interest| interest.quantity).sum::<i64>();
        self.interests += page.len() as i64;
        let page: Vec<_> = page.iter().map(line).collect();
        Ok(Some(lines(self.summary.group_buy, &page)))
    }
}

fn line(interest: &Interest) -> Line {
    Line {
        position: interest.position,
        quantity: interest.quantity,
        visitor: VisitorId(interest.visitor_id),
    }
}

fn gone(id: GroupBuyId) -> Answer {
    let (code, message) = ("unknown_group_buy".to_owned(), format!("there is no {id}"));
    Answer::Failed(Failure { code, message })
}
