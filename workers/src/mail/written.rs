//! Writing a mail: what it says, and to whom.

use askama::Template;
use engine::Trouble;
use entities::{Database, checkout, entitlement, magic_link, page, refund, visitor};
use sea_orm::DbErr;
use workflows::{
    effect::Mail,
    id::{CheckoutId, MagicLinkId, RefundId},
    money::{Currency, Money},
};

use super::{MailConfig, refused};

/// A mail before it is put into an envelope.
pub struct Written {
    pub to: String,
    pub subject: String,
    pub text: String,
}

#[derive(Template)]
#[template(path = "mail/magic_link.txt")]
struct MagicLinkText<'a> {
    url: &'a str,
    code: &'a str,
}

#[derive(Template)]
#[template(path = "mail/receipt.txt")]
struct ReceiptText<'a> {
    title: &'a str,
    amount: &'a str,
    checkout: &'a str,
    /// Whether the buyer may read the page: not, where the payment is given back.
    is_open: bool,
}

#[derive(Template)]
#[template(path = "mail/duplicate_refunded.txt")]
struct DuplicateRefundedText<'a> {
    title: &'a str,
    amount: &'a str,
    checkout: &'a str,
}

#[derive(Template)]
#[template(path = "mail/interest_refunded.txt")]
struct InterestRefundedText<'a> {
    title: &'a str,
    amount: &'a str,
    checkout: &'a str,
}

#[derive(Template)]
#[template(path = "mail/refunded.txt")]
struct RefundedText<'a> {
    title: &'a str,
    amount: &'a str,
    checkout: &'a str,
}

#[derive(Template)]
#[template(path = "mail/refund_failed.txt")]
struct RefundFailedText<'a> {
    title: &'a str,
    amount: &'a str,
    checkout: &'a str,
}

pub async fn write(
    database: &Database,
    config: &MailConfig,
    mail: &Mail,
) -> Result<Written, Trouble> {
    match mail {
        Mail::MagicLink(link) => write_magic_link(database, config, *link).await,
        Mail::Receipt(checkout) => {
            let sale = Sale::find(database, *checkout).await?;
            let Sale { to, title, amount, checkout, is_open } = &sale;
            let text = rendered(&ReceiptText { title, amount, checkout, is_open: *is_open })?;
            Ok(Written { to: to.clone(), subject: format!("Your receipt for {title}"), text })
        }
        Mail::DuplicateRefunded(checkout) => {
            let sale = Sale::find(database, *checkout).await?;
            let Sale { to, title, amount, checkout, .. } = &sale;
            let text = rendered(&DuplicateRefundedText { title, amount, checkout })?;
            Ok(Written { to: to.clone(), subject: format!("Your refund for {title}"), text })
        }
        Mail::InterestRefunded(checkout) => {
            let sale = Sale::find(database, *checkout).await?;
            let Sale { to, title, amount, checkout, .. } = &sale;
            let text = rendered(&InterestRefundedText { title, amount, checkout })?;
            Ok(Written { to: to.clone(), subject: format!("Your refund for {title}"), text })
        }
        Mail::GroupBuy { group_buy, visitor, news } => {
            super::group_buy::write(database, config, (*group_buy, *visitor, *news)).await
        }
        Mail::Refunded(refund) => {
            let Sale { to, title, amount, checkout, .. } =
                &Sale::refunded(database, *refund).await?;
            let text = rendered(&RefundedText { title, amount, checkout })?;
            Ok(Written { to: to.clone(), subject: format!("Your refund for {title}"), text })
        }
        Mail::RefundFailed(refund) => {
            let Sale { to, title, amount, checkout, .. } =
                &Sale::refunded(database, *refund).await?;
            let text = rendered(&RefundFailedText { title, amount, checkout })?;
            let subject = format!("Your refund for {title} did not arrive");
            Ok(Written { to: to.clone(), subject, text })
        }
    }
}

async fn write_magic_link(
    database: &Database,
    config: &MailConfig,
    link: MagicLinkId,
) -> Result<Written, Trouble> {
    let row = magic_link::find(database.read(), link.0).await.map_err(passing)?;
    let row = row.ok_or_else(|| refused("the link is gone"))?;
    let base = config.public_url.as_str().trim_end_matches('/');
    let token = config.keys.magic_link_token(link);
    let url = format!("{base}/v2/visitor/auth/verify?token={token}");
    let code = config.keys.magic_link_code(link);
    let text = rendered(&MagicLinkText { url: &url, code: &code })?;
    Ok(Written { to: row.email, subject: "Your sign-in link".to_owned(), text })
}

/// What a mail says of a purchase.
struct Sale {
    to: String,
    title: String,
    amount: String,
    checkout: String,
    /// Whether the buyer may read the page now.
    is_open: bool,
}

impl Sale {
    /// The purchase behind a refund, with the amount that goes back.
    async fn refunded(database: &Database, id: RefundId) -> Result<Self, Trouble> {
        let row = refund::find_any_handle(database.read(), id.0).await.map_err(passing)?;
        let row = row.ok_or_else(|| refused("the refund is gone"))?;
        let sale = Self::find(database, CheckoutId(row.checkout_id)).await?;
        let currency =
            Currency::parse(&row.currency).map_err(|error| refused(&error.to_string()))?;
        let amount = Money::new(row.amount.unwrap_or_default(), currency).to_string();
        Ok(Self { amount, ..sale })
    }

    async fn find(database: &Database, id: CheckoutId) -> Result<Self, Trouble> {
        let db = database.read();
        let row = checkout::find_any_handle(db, id.0).await.map_err(passing)?;
        let row = row.ok_or_else(|| refused("the purchase is gone"))?;
        let buyer = visitor::find(db, row.visitor_id).await.map_err(passing)?;
        let buyer = buyer.ok_or_else(|| refused("the visitor is gone"))?;
        let page = page::find_any_handle(db, row.page_id).await.map_err(passing)?;
        let access = entitlement::find(db, row.page_id, row.visitor_id).await.map_err(passing)?;
        let currency =
            Currency::parse(&row.currency).map_err(|error| refused(&error.to_string()))?;
        Ok(Self {
            is_open: access.is_some_and(|access| access.is_access()),
            to: buyer.email,
            title: page.map_or_else(|| "your purchase".to_owned(), |page| page.title),
            amount: Money::new(row.amount, currency).to_string(),
            checkout: id.to_string(),
        })
    }
}

pub fn rendered(template: &impl Template) -> Result<String, Trouble> {
    template.render().map_err(|error| refused(&error.to_string()))
}

pub fn passing(error: DbErr) -> Trouble {
    Trouble::Transient { retry_after: None, message: error.to_string() }
}
