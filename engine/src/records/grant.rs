//! Access: the first grant of a page to a visitor stands, and a later one hears that it lost. So does one that
//! needs an interest which was withdrawn.

use std::collections::{BTreeMap, BTreeSet};

use entities::{
    entitlement::{self, Entitlement},
    interest,
};
use sea_orm::{ConnectionTrait, DbErr};
use workflows::{
    Timestamp,
    checkout::Event,
    id::CheckoutId,
    record::{Grant, GrantKind},
};

/// Grants access, and returns the purchases that lost with what they are to hear.
pub async fn write(
    db: &impl ConnectionTrait,
    grants: &[(Timestamp, Grant)],
) -> Result<Vec<(CheckoutId, Event)>, DbErr> {
    let mut losers = withdrawn(db, grants).await?;
    let withdrawn: BTreeSet<_> = losers.iter().map(|(loser, _)| *loser).collect();
    let grants: Vec<_> =
        grants.iter().filter(|(_, grant)| !withdrawn.contains(&grant.checkout)).collect();
    losers.extend(give(db, &grants).await?);
    Ok(losers)
}

/// The purchases that need an interest which was withdrawn.
async fn withdrawn(
    db: &impl ConnectionTrait,
    grants: &[(Timestamp, Grant)],
) -> Result<Vec<(CheckoutId, Event)>, DbErr> {
    let needed = || {
        grants.iter().flat_map(|(_, grant)| grant.interests.iter().map(move |one| (grant, *one)))
    };
    let pairs: BTreeSet<_> = needed().map(|(grant, one)| (one.0, grant.visitor.0)).collect();
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let active = interest::active(db, &Vec::from_iter(pairs)).await?;
    let active: BTreeSet<_> =
        active.into_iter().map(|one| (one.group_buy_id, one.visitor_id)).collect();
    let lost: BTreeMap<_, _> = needed()
        .filter(|(grant, one)| !active.contains(&(one.0, grant.visitor.0)))
        .map(|(grant, group_buy)| (grant.checkout, Event::InterestLost { group_buy }))
        .collect();
    Ok(lost.into_iter().collect())
}

async fn give(
    db: &impl ConnectionTrait,
    grants: &[&(Timestamp, Grant)],
) -> Result<Vec<(CheckoutId, Event)>, DbErr> {
    if grants.is_empty() {
        return Ok(Vec::new());
    }
    // Of two in one batch the first is the one that is tried.
    let mut first = BTreeMap::new();
    for (at, grant) in grants {
        first.entry((grant.page.0, grant.visitor.0)).or_insert_with(|| row(*at, grant));
    }
    let rows: Vec<_> = first.into_values().collect();
    let standing: BTreeMap<_, _> = entitlement::grant(db, &rows)
        .await?
        .into_iter()
        .map(|row| ((row.page_id, row.visitor_id), CheckoutId(row.checkout_id)))
        .collect();
    Ok(grants
        .iter()
        .filter(|(_, grant)| grant.kind == GrantKind::Paid)
        .filter_map(|(_, grant)| {
            let holder = *standing.get(&(grant.page.0, grant.visitor.0))?;
            (holder != grant.checkout).then_some((grant.checkout, Event::GrantLost { holder }))
        })
        .collect())
}

fn row(at: Timestamp, grant: &Grant) -> Entitlement {
    let kind: &'static str = grant.kind.into();
    Entitlement {
        page_id: grant.page.0,
        visitor_id: grant.visitor.0,
        kind: kind.to_owned(),
        checkout_id: grant.checkout.0,
        since: at.millis(),
    }
}
