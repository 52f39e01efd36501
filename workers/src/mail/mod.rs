//! Mail: written from templates, sent by SMTP or put into files. No address is kept in an effect: it is
//! looked up when the mail is sent.

mod group_buy;
mod transport;
mod written;

use async_trait::async_trait;
use engine::{Perform, Task, Trouble};
use entities::Database;
use lettre::message::{Mailbox, header::ContentType};
use url::Url;
use workflows::{
    effect::{Answer, Effect, Failure},
    keyed_hash::Keys,
};

pub use transport::{MailError, Transport};

/// How mails are written and sent.
pub struct MailConfig {
    /// Who they are from.
    pub from: Mailbox,
    /// Where links lead.
    pub public_url: Url,
    /// From which magic links' tokens are computed.
    pub keys: Keys,
}

/// Performs mails.
pub struct MailPerformer {
    database: Database,
    transport: Transport,
    config: MailConfig,
}

impl MailPerformer {
    /// A performer that is ready.
    pub fn new(database: Database, transport: Transport, config: MailConfig) -> Self {
        Self { database, transport, config }
    }

    /// The Message-ID is the same for every try, so that receivers can drop a repetition.
    fn message(&self, task: &Task, written: written::Written) -> Result<lettre::Message, Trouble> {
        let host = self.config.from.email.domain();
        let to: Mailbox =
            written.to.parse().map_err(|_| refused("the address cannot be mailed"))?;
        lettre::Message::builder()
            .from(self.config.from.clone())
            .to(to)
            .subject(written.subject)
            .message_id(Some(format!("<{}@{host}>", task.id)))
            .header(ContentType::TEXT_PLAIN)
            .body(written.text)
            .map_err(|error| refused(&error.to_string()))
    }
}

#[async_trait]
impl Perform for MailPerformer {
    async fn perform(&self, task: &Task) -> Result<Answer, Trouble> {
        let Effect::SendMail(mail) = &task.effect else {
            return Err(refused("the effect is no mail"));
        };
        let written = written::write(&self.database, &self.config, mail).await?;
        let message = self.message(task, written)?;
        self.transport.send(&task.id.to_string(), &message).await?;
        Ok(Answer::MailSent)
    }

    /// Whether a mail went out cannot be looked up: it is sent again, under the same Message-ID.
    async fn find(&self, task: &Task) -> Result<Option<Answer>, Trouble> {
        self.perform(task).await.map(Some)
    }
}

fn refused(message: &str) -> Trouble {
    Trouble::Permanent(Failure { code: "mail_refused".to_owned(), message: message.to_owned() })
}
