//! What became of a group buy, to somebody who was interested in it.

use askama::Template;
use engine::Trouble;
use entities::{
    Database, group_buy, handle, interest,
    offer::{self, Opening},
    visitor,
};
use workflows::{
    group_buy::News,
    id::{GroupBuyId, VisitorId},
};

use super::{
    MailConfig, refused,
    written::{Written, passing, rendered},
};

#[derive(Template)]
#[template(path = "mail/group_buy_activated.txt")]
struct ActivatedText<'a> {
    title: &'a str,
    target: i64,
    quantity: i64,
    offers: &'a [Offer],
    url: &'a str,
}

#[derive(Template)]
#[template(path = "mail/group_buy_lapsed.txt")]
struct LapsedText<'a> {
    title: &'a str,
    reached: i64,
    target: i64,
    url: &'a str,
}

#[derive(Template)]
#[template(path = "mail/group_buy_cancelled.txt")]
struct CancelledText<'a> {
    title: &'a str,
    url: &'a str,
}

/// What may be bought, and where.
struct Offer {
    title: String,
    url: String,
}

/// Writes what became of a group buy.
pub async fn write(
    database: &Database,
    config: &MailConfig,
    (group_buy, to, news): (GroupBuyId, VisitorId, News),
) -> Result<Written, Trouble> {
    let db = database.read();
    let row = group_buy::find_any_handle(db, group_buy.0).await.map_err(passing)?;
    let row = row.ok_or_else(|| refused("the group buy is gone"))?;
    let owner = handle::find(db, row.handle_id).await.map_err(passing)?;
    let owner = owner.ok_or_else(|| refused("the handle is gone"))?;
    let reader = visitor::find(db, to.0).await.map_err(passing)?;
    let reader = reader.ok_or_else(|| refused("the visitor is gone"))?;
    let base = config.public_url.as_str().trim_end_matches('/');
    let (title, target) = (row.title.as_str(), row.target_quantity);
    let url = format!("{base}/v2/public/group-buys/{}/{}", owner.name, row.slug);
    let (subject, text) = match news {
        News::Activated => {
            let interest = interest::find(db, group_buy.0, to.0).await.map_err(passing)?;
            let interest = interest.ok_or_else(|| refused("the visitor has withdrawn since"))?;
            let quantity = interest.quantity;
            let pages = format!("{base}/v2/public/pages/{}", owner.name);
            let openings = offer::openings(db, group_buy.0).await.map_err(passing)?;
            let offers: Vec<_> = openings
                .into_iter()
                .filter(Opening::is_for_sale)
                .map(|one| Offer { title: one.title, url: format!("{pages}/{}", one.page_slug) })
                .collect();
            let offers = offers.as_slice();
            let text = ActivatedText { title, target, quantity, offers, url: &url };
            (format!("{title} is open to you"), rendered(&text)?)
        }
        News::Lapsed => {
            let reached = row.interest_quantity;
            let text = LapsedText { title, reached, target, url: &url };
            (format!("{title} has not come about"), rendered(&text)?)
        }
        News::Cancelled => {
            let text = CancelledText { title, url: &url };
            (format!("{title} was called off"), rendered(&text)?)
        }
    };
    Ok(Written { to: reader.email, subject, text })
}
