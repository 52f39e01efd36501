//! Sign-ins. Few at a time, and so written one by one.

use entities::{magic_link, visitor, visitor_session};
use sea_orm::{ConnectionTrait, DbErr};
use workflows::{Timestamp, record::VisitorSession};

/// Signs visitors in, in the order of their links. A visitor comes into being with the first sign-in.
pub async fn write(
    db: &impl ConnectionTrait,
    sessions: &[(Timestamp, VisitorSession)],
) -> Result<(), DbErr> {
    let mut sorted: Vec<_> = sessions.iter().collect();
    sorted.sort_by_key(|(_, session)| session.link);
    for (at, session) in sorted {
        sign_in(db, *at, session).await?;
    }
    Ok(())
}

async fn sign_in(
    db: &impl ConnectionTrait,
    at: Timestamp,
    session: &VisitorSession,
) -> Result<(), DbErr> {
    let Some(link) = magic_link::find(db, session.link.0).await? else {
        tracing::error!(link = %session.link, "a link was used whose row is gone");
        return Ok(());
    };
    let new =
        visitor::Visitor { id: session.visitor.0, email: link.email, created_at: at.millis() };
    let visitor_id = visitor::ensure(db, &new).await?;
    let row = visitor_session::VisitorSession {
        id: session.session.0,
        visitor_id,
        token_hash: session.token_hash.clone(),
        created_at: at.millis(),
        expires_at: session.expires_at.millis(),
    };
    visitor_session::insert(db, &row).await
}
