//! Lists and objects of Stripe's as they came, for those who keep them or look at a few fields of any of them.
//! The typed requests answer with an error where one field of one object is newer than they are.

use miniserde::json::Value as Answered;
use serde::Serialize;
use serde_json::Value;
use stripe::StripeError;
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::StripePerformer;

/// Whose objects are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The platform's own.
    Platform,
    /// Those of a connected account (`acct_…`).
    Account(String),
}

impl Scope {
    /// `acct_…`, or nothing for the platform.
    pub fn account(&self) -> &str {
        match self {
            Self::Platform => "",
            Self::Account(account) => account,
        }
    }
}

/// A list of Stripe's, the newest first, and which part of it is wanted.
#[derive(Clone, Debug, Serialize)]
pub struct Wanted {
    /// `/events`
    #[serde(skip)]
    pub path: &'static str,
    /// Of this kind only.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// Made within these bounds.
    pub created: Created,
    /// After this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_after: Option<String>,
    /// With these objects in place of their ids.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub expand: &'static [&'static str],
    /// So many at most: 100 is Stripe's own limit.
    pub limit: i64,
}

/// Bounds of a time, both included, in seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Created {
    /// From when on.
    pub gte: i64,
    /// Until when.
    pub lte: i64,
}

/// A part of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The objects, the newest first.
    pub rows: Vec<Value>,
    /// Whether there are older ones.
    pub has_more: bool,
}

impl StripePerformer {
    /// A page of a list.
    pub async fn list(&self, scope: &Scope, wanted: &Wanted) -> Result<Page, StripeError> {
        let request = RequestBuilder::new(StripeMethod::Get, wanted.path).query(wanted);
        let mut list = self.send(scope, request).await?;
        match list["data"].take() {
            Value::Array(rows) => Ok(Page { rows, has_more: list["has_more"] == true }),
            _ => Err(StripeError::JSONDeserialize(format!("{} is no list", wanted.path))),
        }
    }

    /// What lies at a path, with a query that needs no escaping.
    pub async fn look_up(
        &self,
        scope: &Scope,
        path: &str,
        query: Option<String>,
    ) -> Result<Value, StripeError> {
        let mut request = RequestBuilder::new(StripeMethod::Get, path);
        request.query = query;
        self.send(scope, request).await
    }

    async fn send(&self, scope: &Scope, request: RequestBuilder) -> Result<Value, StripeError> {
        let mut request = request.customize::<Answered>();
        if let Scope::Account(account) = scope {
            request = request.account_id(account.as_str().into());
        }
        let answered = request.send(self.ready().await).await?;
        serde_json::from_str(&miniserde::json::to_string(&answered))
            .map_err(|error| StripeError::JSONDeserialize(error.to_string()))
    }
}
