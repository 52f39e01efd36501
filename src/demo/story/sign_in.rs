//! Signing in, by the mails that stand in files for a mail server.

use std::{path::Path, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{HANDLE, Story, VISITOR};
use crate::{Fatal, demo::client::Caller};

/// How long a mail may take, and how often it is looked for.
const LOOKS: usize = 1_200;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Story<'_> {
    pub(super) async fn sign_in(&mut self) -> Result<Caller, Fatal> {
        let token = self.ask_for_link(VISITOR).await?;
        self.narrator.step(
            "magic_link",
            "A visitor asks for a sign-in link; the mail is there.",
            &json!({}),
        );
        // A mail scanner opens the link first: that consumes nothing.
        let path = format!("/v2/visitor/auth/verify?token={token}");
        self.sluice.get(&Caller::Anybody, &path).await?;
        let (visitor, session) = self.use_link(&token).await?;
        self.narrator.step("signed_in", "The link signs the visitor in, once.", &session);
        Ok(visitor)
    }

    /// The same without a word.
    pub(super) async fn sign_in_quietly(&self, email: &str) -> Result<Caller, Fatal> {
        let token = self.ask_for_link(email).await?;
        Ok(self.use_link(&token).await?.0)
    }

    async fn ask_for_link(&self, email: &str) -> Result<String, Fatal> {
        let body = json!({ "email": email, "handle": HANDLE });
        let path = "/v2/visitor/auth/magic-link";
        self.sluice.post(&Caller::Anybody, path, body, StatusCode::ACCEPTED).await?;
        let mail = self.mail_to(email, "verify?token=").await?;
        let rest = mail.split_once("verify?token=").map(|(_, rest)| rest);
        let token = rest.and_then(|rest| rest.split_whitespace().next());
        token.map(str::to_owned).ok_or_else(|| "the sign-in mail holds no link".into())
    }

    async fn use_link(&self, token: &str) -> Result<(Caller, Value), Fatal> {
        let body = json!({ "token": token });
        let path = "/v2/visitor/auth/verify";
        let verified = self.sluice.post(&Caller::Anybody, path, body, StatusCode::OK).await?;
        let cookie = verified.cookie.ok_or("signing in set no cookie")?;
        Ok((Caller::Visitor(cookie), verified.json))
    }

    /// A mail to an address that holds something, from the files that stand in for a mail server.
    pub(super) async fn mail_to(&self, email: &str, holds: &str) -> Result<String, Fatal> {
        let mails = self.settings.data_dir.join("mail");
        for _ in 0..LOOKS {
            if let Some(mail) = mail_in(&mails, &format!("To: {email}"), holds).await {
                return Ok(mail);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err(format!("no mail came to {email} with {holds:?}").into())
    }
}

async fn mail_in(mails: &Path, to: &str, holds: &str) -> Option<String> {
    let mut entries = tokio::fs::read_dir(mails).await.ok()?;
    while let Ok(Some(entry)) = entries.next_entry().await {
        if entry.path().extension().is_none_or(|extension| extension != "eml") {
            continue;
        }
        let mail = tokio::fs::read_to_string(entry.path()).await.ok()?;
        // Long lines may be wrapped for transport (RFC 2045): a line that ends in = goes on.
        let mail = mail.replace("=\r\n", "").replace("=3D", "=");
        if mail.contains(to) && mail.contains(holds) {
            return Some(mail);
        }
    }
    None
}
