//! Personal access tokens: what people give to programs that act for them.
//!
//! A token is `slc_`, its id, and 256 random bits. It is shown once; what is kept is a keyed hash of it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use entities::access_token::{self, AccessToken};
use rand::TryRngCore;
use uuid::Uuid;
use workflows::{Timestamp, id::AccessTokenId};

use crate::{
    codes::Code,
    config::App,
    permission::Permission,
    principal::{Grant, Principal},
    problem::Problem,
};

/// What every token starts with.
const PREFIX: &str = "slc_";
/// What the hash of a token is for.
const PURPOSE: &str = "access_token";
/// How long a token is: its prefix, its id in hexadecimal, a line, and 32 bytes in base64.
const LENGTH: usize = PREFIX.len() + 32 + 1 + 43;
/// How often its use is noted, in milliseconds.
const NOTED_EVERY: i64 = Timestamp::MINUTE;

/// Whether a bearer token is meant to be an access token.
pub fn is_one(bearer: &str) -> bool {
    bearer.starts_with(PREFIX)
}

/// A fresh token for an id.
pub fn fresh(id: Uuid) -> Result<String, Problem> {
    let mut bytes = [0_u8; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(Problem::internal)?;
    Ok(format!("{PREFIX}{}_{}", id.simple(), BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

/// What is kept of a token.
pub fn hash(app: &App, token: &str) -> String {
    app.config.keys.hash(PURPOSE, token)
}

fn id_of(token: &str) -> Option<AccessTokenId> {
    let (id, _) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let id = format!("{}{id}", AccessTokenId::PREFIX);
    id.parse().ok().filter(|_| token.len() == LENGTH)
}

/// Who an access token speaks for, and what it lets them do.
pub async fn read(app: &App, token: &str) -> Result<Principal, Problem> {
    let unknown = || Problem::new(Code::TokenInvalid, "there is no such access token (any more)");
    let id = id_of(token).ok_or_else(unknown)?;
    let found = access_token::find(app.engine.database().read(), id.0).await?;
    let found = found.ok_or_else(unknown)?;
    if !app.config.keys.is_hash_of(PURPOSE, token, &found.token_hash) {
        return Err(unknown());
    }
    let now = app.now();
    if found.expires_at <= now {
        return Err(Problem::new(Code::TokenExpired, "the access token has expired"));
    }
    note_use(app, &found, now).await;
    let handles = found.handles.as_deref().map(words);
    let grant = Grant { token: id, scopes: scopes(&found), handles };
    Ok(Principal::with_grant(found.subject, grant))
}

/// Notes that a token is used, once a minute at most. That this fails is no reason to refuse the request.
async fn note_use(app: &App, token: &AccessToken, now: i64) {
    let noted = now - NOTED_EVERY;
    if token.last_used_at.is_some_and(|used| used > noted) {
        return;
    }
    if let Err(error) =
        access_token::touch(app.engine.database().write(), token.id, now, noted).await
    {
        tracing::warn!(%error, "the use of an access token is not noted");
    }
}

/// What a stored token may do. Scopes that a newer release gave open nothing here.
pub fn scopes(token: &AccessToken) -> Vec<Permission> {
    token.scopes.split(' ').filter_map(Permission::of).collect()
}

/// The words of a stored list.
pub fn words(list: &str) -> Vec<String> {
    list.split(' ').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_names_its_id_and_nothing_else_does() {
        let id = Uuid::from_u128(7);
        let token = fresh(id).unwrap();
        assert_eq!(id_of(&token), Some(AccessTokenId(id)));
        assert_ne!(token, fresh(id).unwrap());
        let short = &token[..token.len() - 1];
        for other in [short, &token[4..], "slc_", "slc__", &format!("{token}x")] {
            assert_eq!(id_of(other), None, "{other}");
        }
    }
}
