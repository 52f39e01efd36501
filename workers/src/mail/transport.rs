//! How a mail leaves the house.

use std::path::PathBuf;

use engine::Trouble;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use ulid::Ulid;
use workflows::effect::Failure;

/// Where mails go.
pub enum Transport {
    /// One `.eml` file for each mail, named after its effect: sending twice is sending once.
    Directory(PathBuf),
    /// A mail server.
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
}

/// The address of the mail server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Neither `file://`, `smtp://` nor `smtps://`.
    #[error(
        "{0:?} is no address for mail: file://directory, smtp://host or smtps://host is needed"
    )]
    Address(String),
    /// What the mail library says.
    #[error("mail server: {0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
}

impl Transport {
    /// From an address: `file://directory`, `smtp://user:password@host:port`, `smtps://…`.
    pub fn open(address: &str) -> Result<Self, MailError> {
        if let Some(directory) = address.strip_prefix("file://") {
            return Ok(Self::Directory(PathBuf::from(directory)));
        }
        if address.starts_with("smtp://") || address.starts_with("smtps://") {
            let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(address)?.build();
            return Ok(Self::Smtp(Box::new(transport)));
        }
        Err(MailError::Address(address.split('@').next_back().unwrap_or_default().to_owned()))
    }

    pub(super) async fn send(&self, name: &str, mail: &lettre::Message) -> Result<(), Trouble> {
        match self {
            Self::Directory(directory) => {
                let written = write(directory, name, &mail.formatted()).await;
                written.map_err(|error| Trouble::Transient {
                    retry_after: None,
                    message: format!("{}: {error}", directory.display()),
                })
            }
            Self::Smtp(transport) => match transport.send(mail.clone()).await {
                Ok(_) => Ok(()),
                Err(error) if error.is_permanent() && !is_about_us(&error) => {
                    Err(Trouble::Permanent(Failure {
                        code: "mail_refused".to_owned(),
                        message: error.to_string(),
                    }))
                }
                Err(error) => {
                    Err(Trouble::Transient { retry_after: None, message: error.to_string() })
                }
            },
        }
    }
}

/// Whether the server refuses us and not the mail: a password that was changed is mended by a person, and no
/// mail is lost meanwhile. <https://www.rfc-editor.org/rfc/rfc4954#section-6>
fn is_about_us(error: &lettre::transport::smtp::Error) -> bool {
    error.status().is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535 | 538))
}

/// Whole or not at all: who watches the directory never reads half a mail. Each try has a draft of its own,
/// since a late one may meet its successor.
async fn write(directory: &std::path::Path, name: &str, mail: &[u8]) -> std::io::Result<()> {
    tokio::fs::create_dir_all(directory).await?;
    let draft = directory.join(format!("{name}.{}.draft", Ulid::generate()));
    tokio::fs::write(&draft, mail).await?;
    tokio::fs::rename(&draft, directory.join(format!("{name}.eml"))).await
}
