//! Interest: a signed-in visitor says how many they want of a group buy, or none any more.

use engine::interest::{Before, Change, Closed, Counted, Wish};
use entities::{group_buy::GroupBuy, interest::Interest};
use poem::Request;
use poem_openapi::{Object, OpenApi, param::Path};
use serde::Deserialize;
use time::OffsetDateTime;
use workflows::{
    activation_list,
    id::{GroupBuyId, VisitorId},
};

use crate::{
    answer::{Answer, CreatedOrDone, Shown},
    body::Given,
    codes::Code,
    config::App,
    group_buy::find_published,
    group_buy_status::{GroupBuyStatus, fill_rate},
    moment::moment,
    origin::SameOrigin,
    problem::{Problem, Refused, refusals},
    tag::Tag,
    visitor::Visitor,
};

/// How many a visitor wants.
#[derive(Debug, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct InterestWish {
    /// How many are wanted, in place of what was wanted before: at most the group buy's `maxQuantityPerVisitor`.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
    pub quantity: i64,
}

/// What a visitor wants of a group buy.
#[derive(Clone, Debug, Object)]
#[oai(rename = "Interest", rename_all = "camelCase")]
pub struct InterestView {
    /// How many.
    pub quantity: i64,
    /// Since when it is so many.
    pub since: OffsetDateTime,
    /// Its place in the order of the group buy's interests, which changes count as well.
    pub position: i64,
    /// What the visitor is called in the list of an activation.
    pub participant: String,
}

impl InterestView {
    /// As the API shows it.
    pub fn of(interest: &Interest) -> Self {
        let (group_buy, visitor) =
            (GroupBuyId(interest.group_buy_id), VisitorId(interest.visitor_id));
        Self {
            quantity: interest.quantity,
            since: moment(interest.created_at),
            position: interest.position,
            participant: activation_list::participant(group_buy, visitor),
        }
    }
}

/// Where a group buy stands after a visitor has said something.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct InterestCounted {
    /// How it stands.
    pub status: GroupBuyStatus,
    /// How much interest opens it.
    pub target_quantity: i64,
    /// How much there is.
    pub interest_quantity: i64,
    /// How many visitors are interested.
    pub interested_visitors: i64,
    /// How much of the target is reached, rounded down to four decimals: 1 and more means reached.
    pub fill_rate: f64,
    /// What the visitor wants now, if anything.
    pub interest: Option<InterestView>,
}

impl InterestCounted {
    fn of(row: &GroupBuy, counted: &Counted) -> Self {
        Self {
            status: GroupBuyStatus::of(&counted.status),
            target_quantity: row.target_quantity,
            interest_quantity: counted.interest_quantity,
            interested_visitors: counted.interest_count,
            fill_rate: fill_rate(counted.interest_quantity, row.target_quantity),
            interest: counted.interest.as_ref().map(InterestView::of),
        }
    }
}

refusals!(ShowInterest: NotSignedIn, OriginMismatch, UnknownGroupBuy, InterestClosed, TooLarge,
    UnsupportedMediaType);
refusals!(WithdrawInterest: NotSignedIn, OriginMismatch, UnknownGroupBuy, InterestClosed);

/// Interest of visitors.
pub struct InterestRoutes;

#[OpenApi(tag = "Tag::Public")]
impl InterestRoutes {
    /// Say that one is interested
    ///
    /// A visitor has one interest in a group buy: saying it again changes how many are wanted. The interest that reaches
    /// the target activates the group buy. It binds to nothing. Interest is taken until the deadline, also after the
    /// activation; but those who come after it are not mailed: they see that it is open.
    #[oai(
        path = "/v2/public/group-buys/:handle/:groupBuySlug/interest",
        method = "post",
        operation_id = "showInterest"
    )]
    async fn show(
        &self,
        request: &Request,
        _origin: SameOrigin,
        visitor: Visitor,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The group buy, as it stands in addresses.
        #[oai(name = "groupBuySlug")]
        slug: Path<String>,
        body: Given<InterestWish>,
    ) -> Result<CreatedOrDone<InterestCounted>, Refused<ShowInterest>> {
        let quantity = body.0.quantity;
        let said = Said { request, visitor: &visitor, handle: &handle.0, slug: &slug.0 };
        let (row, counted) = said.count(Change::Want(quantity)).await?;
        let view = InterestCounted::of(&row, &counted);
        Ok(match counted.before {
            Before::Interested => Answer::done(view),
            Before::NotInterested => {
                let location = format!("/v2/public/group-buys/{}/{}", handle.0, slug.0);
                Answer::created(location, view)
            }
        }
        .into())
    }

    /// Withdraw one's interest
    ///
    /// It is not counted any more. A group buy that was activated stays activated, and what was paid for stays; a
    /// purchase that needs the interest and is not paid yet will not be granted. Without an interest there is nothing to
    /// withdraw, and the answer is the same.
    #[oai(
        path = "/v2/public/group-buys/:handle/:groupBuySlug/interest",
        method = "delete",
        operation_id = "withdrawInterest"
    )]
    async fn withdraw(
        &self,
        request: &Request,
        _origin: SameOrigin,
        visitor: Visitor,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The group buy, as it stands in addresses.
        #[oai(name = "groupBuySlug")]
        slug: Path<String>,
    ) -> Result<Shown<InterestCounted>, Refused<WithdrawInterest>> {
        let said = Said { request, visitor: &visitor, handle: &handle.0, slug: &slug.0 };
        let (row, counted) = said.count(Change::Withdraw).await?;
        Ok(Shown::of(InterestCounted::of(&row, &counted)))
    }
}

/// Who says something, and of which group buy.
struct Said<'a> {
    request: &'a Request,
    visitor: &'a Visitor,
    handle: &'a str,
    slug: &'a str,
}

impl Said<'_> {
    async fn count(&self, change: Change) -> Result<(GroupBuy, Counted), Problem> {
        let app = App::of(self.request)?;
        let row = find_published(app.engine.database().read(), self.handle, self.slug).await?;
        // It stays as it was published.
        if let Change::Want(quantity) = change
            && !(1..=row.visitor_limit).contains(&quantity)
        {
            return Err(Problem::field("quantity", format!("must be 1 to {}", row.visitor_limit)));
        }
        let group_buy = GroupBuyId(row.id);
        let visitor = VisitorId(self.visitor.0.visitor_id);
        let counted = app.interests.count(Wish { group_buy, visitor, change }).await?;
        Ok((row, counted.map_err(|closed| refusal(&closed))?))
    }
}

fn refusal(closed: &Closed) -> Problem {
    let detail = match closed {
        Closed::Unknown => "the group buy is gone".to_owned(),
        Closed::Status(status) => format!("the group buy is {status}"),
        Closed::Deadline => "the group buy's deadline has passed".to_owned(),
    };
    Problem::new(Code::InterestClosed, detail)
}
