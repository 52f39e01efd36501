//! Closing the open purchases of an account that can no longer be paid: one page at a time, each in one
//! transaction, so that it goes on where it was after a crash.

use entities::{checkout, inbox};
use sea_orm::ConnectionTrait;
use uuid::Uuid;
use workflows::{
    checkout::Event,
    effect::Answer,
    id::{CheckoutId, EffectId, HandleId},
    message::Message,
};

use crate::{Engine, EngineError, send};

/// How many purchases are told at a time.
pub const PAGE: usize = 500;

/// Tells a page of purchases. Their runs decide: one whose buyer was faster is settled.
pub async fn close(
    engine: &Engine,
    db: &impl ConnectionTrait,
    effect: Uuid,
    (handle, account): (HandleId, &str),
    after: CheckoutId,
) -> Result<Answer, EngineError> {
    let open = checkout::open_of_account(db, handle.0, account, after.0, PAGE as u64).await?;
    let rows: Vec<_> = open
        .iter()
        .map(|id| {
            let id = CheckoutId(*id);
            let message = Message::Checkout(id, Event::SellerLost);
            send::row("seller_lost", format!("{}:{id}", EffectId(effect)), &message, Some(handle))
        })
        .collect::<Result<_, _>>()?;
    if !rows.is_empty() {
        inbox::insert(db, &engine.clock, &rows).await?;
    }
    let full = open.len() == PAGE;
    Ok(Answer::CheckoutsClosed {
        after: open.last().filter(|_| full).map(|last| CheckoutId(*last)),
    })
}
