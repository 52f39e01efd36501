//! Idempotency keys: the same key and body gives the first answer again for a day.
//!
//! The key's row commits with the write's own rows, or not at all. A write whose answer is known by then
//! stores it in the same transaction ([`Write::finish`]). One that has to wait for a run commits first
//! ([`Write::commit`]) and stores the answer after ([`Pending::answer`]); should the process die in between,
//! or the answer not be known in time (202), a later request with the key takes the write up again, with the
//! same subject, and so makes nothing twice.

use engine::WakeUp;
use entities::idempotency::{self, Idempotency};
use poem::{Request, http::StatusCode};
use poem_openapi::types::{ParseFromJSON, ToJSON};
use sea_orm::DatabaseTransaction;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use workflows::Timestamp;

use crate::{
    answer::{Answer, Replayed},
    codes::Code,
    config::App,
    problem::Problem,
};

/// How long an answer is kept, in milliseconds.
const KEPT: i64 = Timestamp::DAY;
/// How long a write without an answer is taken to be running, in milliseconds: twice as long as the longest
/// wait for a run. Then its process died, and a repetition goes on where it was.
const RUNNING: i64 = 20 * Timestamp::SECOND;
/// The header that carries the key.
const HEADER: &str = "idempotency-key";
/// How long a key may be.
const LONGEST_KEY: usize = 255;

/// Refuses a key that handlers would not get to see as it was sent: a write must not be carried out as if it
/// had none.
pub fn expect_readable_key(request: &Request) -> Result<(), Problem> {
    let mut keys = request.headers().get_all(HEADER).into_iter();
    let readable = keys.next().is_none_or(|key| key.to_str().is_ok());
    match readable && keys.next().is_none() {
        true => Ok(()),
        false => {
            Err(Problem::field("Idempotency-Key", "must be one, of printable ASCII characters"))
        }
    }
}

/// Who writes.
pub enum Writer<'a> {
    /// The subject of a bearer token.
    Subject(&'a str),
    /// A signed-in visitor.
    Visitor(Uuid),
    /// Somebody who does not say who they are: a keyed hash of their client's address.
    Client(String),
}

/// A write, before it begins: who asks for what, under which key.
pub struct Ticket {
    caller: String,
    key: Option<String>,
    fingerprint: String,
}

impl Ticket {
    /// The ticket of an operation with its arguments. The body counts as it was understood, so that spaces
    /// and unknown fields make no difference.
    pub fn new(
        writer: Writer<'_>,
        key: Option<String>,
        operation: &str,
        arguments: &[&str],
        body: &impl ToJSON,
    ) -> Result<Self, Problem> {
        let printable = |key: &String| key.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if !key.as_ref().is_none_or(|key| (1..=LONGEST_KEY).contains(&key.len()) && printable(key))
        {
            return Err(Problem::field(
                "Idempotency-Key",
                "must be 1 to 255 printable characters without spaces",
            ));
        }
        let mut digest = Sha256::new();
        for part in std::iter::once(&operation).chain(arguments) {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        digest.update(body.to_json_string().as_bytes());
        let caller = match writer {
            Writer::Subject(subject) => format!("subject:{subject}"),
            Writer::Visitor(visitor) => format!("visitor:{visitor}"),
            Writer::Client(client) => format!("client:{client}"),
        };
        Ok(Self { caller, key, fingerprint: hex::encode(digest.finalize()) })
    }

    /// Begins the write, or finds the answer to the first one.
    pub async fn begin<T: ParseFromJSON>(self, app: &App) -> Result<Begun<T>, Problem> {
        let transaction = app.engine.database().begin().await?;
        let fresh = Uuid::now_v7();
        let Some(key) = self.key.clone() else {
            return Ok(Begun::Write(self.write(transaction, fresh, Start::First)));
        };
        if self.reserve(app, &transaction, &key, fresh).await? {
            return Ok(Begun::Write(self.write(transaction, fresh, Start::First)));
        }
        // The row was there, or the request that held it has just given it up.
        let Some(row) = idempotency::find(&transaction, &self.caller, &key).await? else {
            return Err(in_progress(1));
        };
        if row.fingerprint != self.fingerprint {
            let detail = "another request was made with this Idempotency-Key";
            return Err(Problem::new(Code::IdempotencyMismatch, detail));
        }
        if let Some(answer) = stored(&row)? {
            return Ok(Begun::Answered(answer));
        }
        let now = app.now();
        if row.locked_until > now {
            return Err(in_progress(seconds(row.locked_until - now)));
        }
        if !idempotency::take_up(&transaction, &row, now + RUNNING).await? {
            return Err(in_progress(seconds(RUNNING)));
        }
        Ok(Begun::Write(self.write(transaction, row.subject, Start::TakenUp)))
    }

    /// Reserves the key. A key that was kept for a day is free again.
    async fn reserve(
        &self,
        app: &App,
        transaction: &DatabaseTransaction,
        key: &str,
        subject: Uuid,
    ) -> Result<bool, Problem> {
        let now = app.now();
        let row = Idempotency {
            caller: self.caller.clone(),
            key: key.to_owned(),
            fingerprint: self.fingerprint.clone(),
            subject,
            locked_until: now + RUNNING,
            status: None,
            body: None,
            location: None,
            created_at: now,
        };
        if idempotency::insert(transaction, &row).await? {
            return Ok(true);
        }
        let old = idempotency::find(transaction, &self.caller, key).await?;
        if old.is_none_or(|old| old.created_at > now - KEPT) {
            return Ok(false);
        }
        idempotency::delete_if_old(transaction, &self.caller, key, now - KEPT).await?;
        Ok(idempotency::insert(transaction, &row).await?)
    }

    fn write(self, transaction: DatabaseTransaction, subject: Uuid, start: Start) -> Write {
        Write { transaction, subject, start, ticket: self }
    }
}

/// A write that may begin, or one that was answered before.
pub enum Begun<T> {
    /// Go on.
    Write(Write),
    /// Give this answer again.
    Answered(Answer<T>),
}

/// Whether a write begins, or goes on where a crash left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing of it is written yet.
    First,
    /// It was committed under this subject before; what is missing is the answer.
    TakenUp,
}

/// A write in its transaction. Dropped, it leaves nothing behind.
pub struct Write {
    /// Everything the write does happens in here.
    pub transaction: DatabaseTransaction,
    /// The id of what the write makes.
    pub subject: Uuid,
    /// Whether it was begun before.
    pub start: Start,
    ticket: Ticket,
}

impl Write {
    /// Stores the answer and commits.
    pub async fn finish<T: ToJSON>(
        self,
        app: &App,
        answer: Answer<T>,
        wake_up: WakeUp,
    ) -> Result<Answer<T>, Problem> {
        self.ticket.store(&self.transaction, &answer).await?;
        self.transaction.commit().await?;
        app.engine.wake(wake_up);
        Ok(answer)
    }

    /// Commits; the answer is stored when it is known.
    pub async fn commit(self, app: &App, wake_up: WakeUp) -> Result<Pending, Problem> {
        self.transaction.commit().await?;
        app.engine.wake(wake_up);
        Ok(Pending(self.ticket))
    }
}

/// A committed write whose answer is not known yet.
pub struct Pending(Ticket);

impl Pending {
    /// Stores the answer.
    pub async fn answer<T: ToJSON>(&self, app: &App, answer: &Answer<T>) -> Result<(), Problem> {
        self.0.store(app.engine.database().write(), answer).await
    }

    /// Stores the answer, where a 202 is none yet: a repetition takes the write up at once, and waits again.
    pub async fn answer_if_done<T: ToJSON>(
        &self,
        app: &App,
        answer: &Answer<T>,
    ) -> Result<(), Problem> {
        match answer.status {
            StatusCode::ACCEPTED => self.leave_open(app).await,
            _ => self.answer(app, answer).await,
        }
    }

    async fn leave_open(&self, app: &App) -> Result<(), Problem> {
        let Some(key) = &self.0.key else { return Ok(()) };
        let db = app.engine.database().write();
        Ok(idempotency::unlock(db, &self.0.caller, key).await?)
    }

    /// Gives the key back: the write came to nothing and may be tried again. Where only the waiting for it
    /// failed, it did not: then a repetition takes it up.
    pub async fn give_up(&self, app: &App, problem: &Problem) -> Result<(), Problem> {
        let Some(key) = &self.0.key else { return Ok(()) };
        let (db, caller) = (app.engine.database().write(), &self.0.caller);
        match problem.code {
            Code::Unavailable | Code::Internal => self.leave_open(app).await?,
            _ => idempotency::delete(db, caller, key).await?,
        }
        Ok(())
    }
}

impl Ticket {
    async fn store<T: ToJSON>(
        &self,
        db: &impl sea_orm::ConnectionTrait,
        answer: &Answer<T>,
    ) -> Result<(), Problem> {
        let Some(key) = &self.key else { return Ok(()) };
        let (status, body) = (answer.status.as_u16(), answer.body.to_json_string());
        let location = answer.location.as_deref();
        Ok(idempotency::answer(db, &self.caller, key, status, &body, location).await?)
    }
}

fn stored<T: ParseFromJSON>(row: &Idempotency) -> Result<Option<Answer<T>>, Problem> {
    let (Some(status), Some(body)) = (row.status, &row.body) else { return Ok(None) };
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let body = T::parse_from_json_string(body)
        .map_err(|error| Problem::internal(format!("a stored answer: {}", error.into_message())))?;
    Ok(Some(Answer {
        status: status.unwrap_or(StatusCode::OK),
        location: row.location.clone(),
        body,
        replayed: Replayed::Yes,
        subject: Some(row.subject),
    }))
}

fn in_progress(seconds: u64) -> Problem {
    let detail = "the first request with this Idempotency-Key has not been answered yet";
    Problem::new(Code::IdempotencyInProgress, detail).retry_after(seconds)
}

fn seconds(millis: i64) -> u64 {
    u64::try_from(millis / 1_000 + 1).unwrap_or(1)
}
