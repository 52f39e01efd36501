//! What an operator does from the command line, until there is a console.

use std::sync::Arc;

use clap::{Args, Subcommand};
use engine::{By, Engine, WrittenOff, wake::NoWakeups};
use entities::{handle, inbox, operator_case, outbox};
use uuid::Uuid;
use workers::reconcile::{Reconciler, Repair};
use workflows::{
    effect::Queue,
    id::{EffectId, HandleId, RunId},
    money::{Currency, Money},
};

use crate::{Fatal, assembly, settings::Settings, telemetry};

/// What to do. Workers find what became due within a second.
#[derive(Subcommand)]
pub enum Act {
    /// Lists what needs a person: dead messages, dead effects, open cases.
    Attention,
    /// Takes up a dead message again.
    RetryMessage {
        /// Its place in the inbox.
        seq: i64,
    },
    /// Takes up a dead effect again, with its old idempotency key.
    RetryEffect {
        /// `eff_…`
        effect: EffectId,
    },
    /// Discards a dead effect: its run hears that it failed.
    DiscardEffect {
        /// `eff_…`
        effect: EffectId,
    },
    /// Calls a run off.
    Cancel {
        /// `run_…`
        run: RunId,
    },
    /// Puts a case right, where that can be done from here: Stripe's object is read again, and put in.
    ApplyCase {
        /// Its id, as `attention` lists it.
        case: Uuid,
    },
    /// Closes a case that was dealt with; the reason is kept with it.
    CloseCase {
        /// Its id, as `attention` lists it.
        case: Uuid,
    },
    /// Gives up a debt of a creator's, or a part of it: what could not be taken back for disputes and refunds.
    WriteOff {
        /// The handle, as it stands in addresses.
        handle: String,
        /// Minor units.
        amount: i64,
        /// ISO 4217.
        currency: String,
    },
    /// Stops a queue of the outbox: stripe, mail, news, marker or local.
    Pause {
        /// Which.
        queue: Queue,
    },
    /// Lets a paused queue go on.
    Resume {
        /// Which.
        queue: Queue,
    },
}

/// For the audit log.
#[derive(Args)]
pub struct Reason {
    /// Why: kept in the audit log.
    #[arg(long, global = true)]
    reason: Option<String>,
}

impl Reason {
    /// Whoever is at the command line, as the system knows them.
    pub fn by(&self) -> By {
        let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
        let actor = user.map_or_else(|| "operator".to_owned(), |user| format!("operator:{user}"));
        let reason = self.reason.clone().filter(|reason| !reason.trim().is_empty());
        By { reason, ..By::new(actor) }
    }
}

pub async fn run(settings: &Settings, act: &Act, reason: &Reason) -> Result<(), Fatal> {
    telemetry::log("warn");
    let database = assembly::open(settings, &settings.database_url()).await?;
    assembly::require_current_schema(&database).await?;
    let engine = assembly::engine(database, Arc::new(NoWakeups));
    let by = reason.by();
    let found = match act {
        Act::Attention => return attention(&engine).await,
        Act::RetryMessage { seq } => engine.retry_message(*seq, &by).await?,
        Act::RetryEffect { effect } => engine.retry_effect(*effect, &by).await?,
        Act::DiscardEffect { effect } => engine.discard_effect(*effect, &by).await?,
        Act::Cancel { run } => engine.cancel(*run, &Uuid::now_v7().to_string(), &by).await?,
        Act::ApplyCase { case } => apply_case(settings, &engine, *case, &by).await?,
        Act::CloseCase { case } => {
            if by.reason.is_none() {
                return Err("say why with --reason: it is kept with the case".into());
            }
            engine.close_case(*case, &by).await?
        }
        Act::WriteOff { handle, amount, currency } => {
            let debt = Money::new(*amount, Currency::parse(currency)?);
            write_off(&engine, handle, debt, &by).await?
        }
        Act::Pause { queue } => {
            engine.pause(*queue, &by).await?;
            true
        }
        Act::Resume { queue } => {
            engine.resume(*queue, &by).await?;
            true
        }
    };
    if found { Ok(()) } else { Err("there is no such thing to act on".into()) }
}

/// Gives up a debt. Returns whether there is such a handle.
async fn write_off(engine: &Engine, handle: &str, debt: Money, by: &By) -> Result<bool, Fatal> {
    if by.reason.is_none() {
        return Err("say why with --reason: it is kept in the audit log".into());
    }
    let db = engine.database().read();
    let Some(handle) = handle::find_by_name(db, handle).await? else { return Ok(false) };
    match engine.write_off(HandleId(handle.id), debt, by).await? {
        WrittenOff::Done => Ok(true),
        WrittenOff::UnknownHandle => Ok(false),
        WrittenOff::OwesLess(owed) => {
            let owed = Money::new(owed, debt.currency);
            Err(format!("the creator owes {owed}, not {debt}").into())
        }
    }
}

/// Applies a case, and says what came of it. Returns whether there is such a case.
async fn apply_case(
    settings: &Settings,
    engine: &Engine,
    case: Uuid,
    by: &By,
) -> Result<bool, Fatal> {
    let Some(case) = operator_case::find(engine.database().read(), case).await? else {
        return Ok(false);
    };
    let stripe = Arc::new(assembly::stripe(&settings.reaching_simulator()?)?);
    let reconciler = Reconciler::new(engine.clone(), stripe, assembly::stop());
    match reconciler.apply(&case, by).await? {
        Repair::PutIn => {
            println!("put in; the next reconciliation closes the case if that was it");
            Ok(true)
        }
        Repair::ForAPerson(why) => Err(why.into()),
    }
}

/// How many of each kind are listed.
const LISTED: u64 = 100;

async fn attention(engine: &Engine) -> Result<(), Fatal> {
    let db = engine.database().read();
    for row in inbox::list_dead_any_handle(db, LISTED).await? {
        let why = row.last_error.unwrap_or_default();
        println!("message  {}  {} from {}: {why}", row.seq, row.workflow, row.source);
    }
    for row in outbox::list_dead_any_handle(db, LISTED).await? {
        let why = row.last_error.unwrap_or_default();
        println!("effect   {}  {} of {}: {why}", EffectId(row.id), row.kind, RunId(row.run_id));
    }
    for case in operator_case::list_open_any_handle(db, LISTED).await? {
        println!("case     {}  {} {}: {}", case.id, case.kind, case.key, case.detail);
    }
    Ok(())
}
