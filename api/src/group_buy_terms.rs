//! The terms of a group buy: what may stand in it.

use entities::group_buy::GroupBuy;
use poem_openapi::{Object, types::MaybeUndefined};
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::Timestamp;

use crate::{
    body::Issues,
    group_buy_status::GroupBuyStatus,
    moment,
    problem::Problem,
    slug::{check_line, check_slug, check_text},
};

/// The longest title, in characters.
const LONGEST_TITLE: usize = 200;
/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 20_000;
/// The largest target that is taken down at all. What is sensible, a preview says.
const LARGEST_TARGET: i64 = 1_000_000_000;
/// How many one visitor may want at most.
const LARGEST_QUANTITY: i64 = 1_000;
/// How far off a deadline may be, in milliseconds: two years.
const FARTHEST_DEADLINE: i64 = 731 * Timestamp::DAY;

/// A new group buy.
#[derive(Debug, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct NewGroupBuy {
    /// As it stands in addresses, unique among the handle's group buys.
    #[oai(validator(pattern = "^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$"))]
    pub slug: String,
    /// As people read it.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub title: String,
    /// What it is about.
    pub description: Option<String>,
    /// How much interest opens it: the sum of what visitors say they want.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000000")))]
    pub target_quantity: i64,
    /// How many one visitor may want; 1,000 unless given, which is the most.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
    pub max_quantity_per_visitor: Option<i64>,
    /// From when on no interest is taken, RFC 3339: a group buy that has not reached its target by then lapses.
    /// Without one it goes on until it is called off.
    #[serde(default, deserialize_with = "moment::read")]
    pub deadline: Option<OffsetDateTime>,
}

/// A change of a draft. What is absent stays.
#[derive(Debug, Default, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct GroupBuyChange {
    /// As people read it.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub title: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// How much interest opens it.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000000")))]
    pub target_quantity: Option<i64>,
    /// How many one visitor may want.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
    pub max_quantity_per_visitor: Option<i64>,
    /// From when on no interest is taken, RFC 3339; `null`: it goes on until it is called off.
    #[serde(default, deserialize_with = "moment::read_change")]
    pub deadline: MaybeUndefined<OffsetDateTime>,
}

/// A new group buy as a draft, without its id and handle.
pub fn draft(new: &NewGroupBuy, now: i64) -> Result<GroupBuy, Problem> {
    let mut issues = Issues::new();
    issues.take("slug", check_slug(&new.slug));
    let draft = GroupBuy {
        id: Uuid::nil(),
        handle_id: Uuid::nil(),
        slug: new.slug.clone(),
        title: new.title.clone(),
        description: new.description.clone().unwrap_or_default(),
        target_quantity: new.target_quantity,
        visitor_limit: new.max_quantity_per_visitor.unwrap_or(LARGEST_QUANTITY),
        deadline_at: new.deadline.map(millis),
        status: GroupBuyStatus::Draft.name().to_owned(),
        interest_quantity: 0,
        interest_count: 0,
        last_position: 0,
        published_at: None,
        ended_at: None,
        created_at: now,
    };
    checked(draft, issues, now)
}

/// A draft after a change.
pub fn change(row: &GroupBuy, change: &GroupBuyChange, now: i64) -> Result<GroupBuy, Problem> {
    let mut changed = row.clone();
    if let Some(title) = &change.title {
        changed.title.clone_from(title);
    }
    if let Some(description) = &change.description {
        changed.description.clone_from(description);
    }
    changed.target_quantity = change.target_quantity.unwrap_or(row.target_quantity);
    changed.visitor_limit = change.max_quantity_per_visitor.unwrap_or(row.visitor_limit);
    match change.deadline {
        MaybeUndefined::Undefined => {}
        MaybeUndefined::Null => changed.deadline_at = None,
        MaybeUndefined::Value(deadline) => changed.deadline_at = Some(millis(deadline)),
    }
    checked(changed, Issues::new(), now)
}

/// Goes on only if all of it may stand. A deadline that has passed must be put off with any change.
fn checked(row: GroupBuy, mut issues: Issues, now: i64) -> Result<GroupBuy, Problem> {
    let title = issues.take("title", check_line(&row.title, LONGEST_TITLE));
    issues.take("description", check_text(&row.description, LONGEST_DESCRIPTION));
    if !(1..=LARGEST_TARGET).contains(&row.target_quantity) {
        issues.blame("targetQuantity", format!("must be 1 to {LARGEST_TARGET}"));
    }
    if !(1..=LARGEST_QUANTITY).contains(&row.visitor_limit) {
        issues.blame("maxQuantityPerVisitor", format!("must be 1 to {LARGEST_QUANTITY}"));
    }
    let ahead = now + 1..=now + FARTHEST_DEADLINE;
    if row.deadline_at.is_some_and(|deadline| !ahead.contains(&deadline)) {
        issues.blame("deadline", "must lie ahead, by two years at most");
    }
    issues.settle()?;
    Ok(GroupBuy { title: title.unwrap_or_default(), ..row })
}

fn millis(moment: OffsetDateTime) -> i64 {
    // Years that do not fit lie far outside of what is taken.
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
