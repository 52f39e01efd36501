//! Gates: what is sold only once a group buy has reached its target, or only to those who are interested in it.

use entities::{
    group_buy::GroupBuy,
    offer::{self, Gate},
    page::Page,
};
use poem_openapi::Object;
use sea_orm::ConnectionTrait;
use workflows::id::GroupBuyId;

use crate::{
    codes::Code,
    config::App,
    group_buy_status::{GroupBuyStanding, GroupBuyStatus, fill_rate},
    moment::maybe_moment,
    problem::Problem,
};

/// How far a group buy of a handle is.
pub fn standing(app: &App, handle: &str, row: &GroupBuy) -> GroupBuyStanding {
    let counts = (row.target_quantity, row.interest_quantity);
    standing_of(app, handle, (&row.slug, &row.status), counts, row.deadline_at)
}

fn standing_of_gate(app: &App, handle: &str, gate: &Gate) -> GroupBuyStanding {
    let counts = (gate.target_quantity, gate.interest_quantity);
    standing_of(app, handle, (&gate.slug, &gate.status), counts, gate.deadline_at)
}

fn standing_of(
    app: &App,
    handle: &str,
    (slug, status): (&str, &str),
    (target, quantity): (i64, i64),
    deadline: Option<i64>,
) -> GroupBuyStanding {
    GroupBuyStanding {
        slug: slug.to_owned(),
        status: GroupBuyStatus::of(status),
        target_quantity: target,
        interest_quantity: quantity,
        missing_quantity: (target - quantity).max(0),
        fill_rate: fill_rate(quantity, target),
        deadline: maybe_moment(deadline),
        url: app.url(&format!("/v2/public/group-buys/{handle}/{slug}")),
    }
}

/// A gate before a page.
#[derive(Clone, Debug, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PageGate {
    /// The group buy that opens it: `ACTIVATED` means open.
    #[oai(flatten)]
    pub standing: GroupBuyStanding,
    /// Whether only those who are interested may buy.
    pub require_active_interest: bool,
}

/// The gates before a page.
pub async fn of_page(
    app: &App,
    db: &impl ConnectionTrait,
    handle: &str,
    page: &Page,
) -> Result<Vec<PageGate>, Problem> {
    // What a visitor wants is shown with the group buy.
    let gates = offer::gates(db, page.id, uuid::Uuid::nil()).await?;
    let published = gates.iter().filter(|gate| gate.published_at.is_some());
    let shown = published.map(|gate| PageGate {
        standing: standing_of_gate(app, handle, gate),
        require_active_interest: gate.require_active_interest,
    });
    Ok(shown.collect())
}

/// Goes on only if every gate before a page is open to a visitor. Returns the group buys in which they must still be
/// interested when the purchase is settled.
pub async fn expect_open(
    app: &App,
    db: &impl ConnectionTrait,
    handle: &str,
    page: &Page,
    visitor: uuid::Uuid,
) -> Result<Vec<GroupBuyId>, Problem> {
    let gates = offer::gates(db, page.id, visitor).await?;
    for gate in &gates {
        // Nobody knows of a draft.
        if gate.published_at.is_none() {
            let detail = "the page is not sold yet";
            return Err(Problem::new(Code::ThresholdNotReached, detail));
        }
        let standing = standing_of_gate(app, handle, gate);
        if standing.status != GroupBuyStatus::Activated {
            return Err(not_reached(&standing));
        }
        if gate.require_active_interest && gate.wanted.is_none() {
            return Err(interest_required(&standing));
        }
    }
    let mut needed: Vec<_> = gates
        .iter()
        .filter(|gate| gate.require_active_interest)
        .map(|gate| GroupBuyId(gate.group_buy_id))
        .collect();
    needed.sort_unstable();
    needed.dedup();
    Ok(needed)
}

/// The refusal of what is closed yet, or stays so.
pub fn not_reached(standing: &GroupBuyStanding) -> Problem {
    let GroupBuyStanding { slug, interest_quantity, target_quantity, missing_quantity, .. } =
        standing;
    let far = format!("{interest_quantity} of {target_quantity} are wanted");
    let detail = match standing.status {
        GroupBuyStatus::Collecting => {
            format!(
                "the group buy {slug} has not reached its target: {far}, {missing_quantity} are missing"
            )
        }
        GroupBuyStatus::Lapsed => {
            format!("the group buy {slug} lapsed before it reached its target: {far}")
        }
        GroupBuyStatus::Cancelled => format!("the group buy {slug} was called off"),
        GroupBuyStatus::Draft | GroupBuyStatus::Activated => {
            format!("the group buy {slug} has not begun")
        }
    };
    Problem::new(Code::ThresholdNotReached, detail).gated(standing.clone())
}

fn interest_required(standing: &GroupBuyStanding) -> Problem {
    let slug = &standing.slug;
    let detail = format!("only those may buy who are interested in the group buy {slug}");
    Problem::new(Code::InterestRequired, detail).gated(standing.clone())
}
