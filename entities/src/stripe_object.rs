//! Where events about a Stripe object go.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{rows::Rows, statement::query_one, together::Together};

/// A Stripe object, and the run that its events go to.
#[derive(Clone, Debug, FromQueryResult)]
pub struct StripeObject {
    /// `cs_…`, `acct_…`, `re_…`
    pub id: String,
    /// The run.
    pub run_id: Uuid,
}

/// Remembers objects. One that is known stays where it is.
pub fn insert(together: &mut Together, objects: &[StripeObject]) {
    let dialect = together.dialect();
    let rows = Rows::new()
        .text("id", objects.iter().map(|object| object.id.as_str()))
        .id("run_id", objects.iter().map(|object| object.run_id));
    let sql = format!(
        "INSERT INTO stripe_object (id, run_id) SELECT id, run_id FROM {} WHERE true ORDER BY id \
         ON CONFLICT (id) DO NOTHING",
        rows.source(dialect, together.first())
    );
    together.add(sql, rows.values(dialect));
}

/// The run that an object's events go to.
pub async fn find(db: &impl ConnectionTrait, id: &str) -> Result<Option<StripeObject>, DbErr> {
    query_one(db, "SELECT * FROM stripe_object WHERE id = $1", vec![id.into()]).await
}
