//! `sluice`: the command line, and the only place where the parts are put together.

mod assembly;
mod check;
mod demo;
mod jwks;
mod migrate;
mod operate;
mod recompute;
mod reconcile;
mod serve;
mod settings;
mod simulate;
mod telemetry;
mod token;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, error::ContextKind};
use settings::Settings;

/// A durable workflow engine and job backend for money between creators and their audience.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum Command {
    /// API, workers and, without a Stripe key, the Stripe simulator, in one process (the default).
    Serve,
    /// The API alone: PostgreSQL and Redis carry its work to `sluice worker`.
    Api,
    /// The workers alone.
    Worker,
    /// The whole story on a fresh database, narrated; fails if any figure is not what it must be.
    Demo {
        /// One JSON object a line in place of the narration.
        #[arg(long)]
        json: bool,
    },
    /// Brings the database's schema up to date, takes the last step back, or says how it stands.
    Migrate {
        #[command(subcommand)]
        direction: migrate::Direction,
    },
    /// Prints the OpenAPI document.
    Openapi,
    /// Mints a bearer token for development. Refuses to while a live Stripe key is configured.
    Token(token::Wish),
    /// Checks the invariants over the database.
    Check,
    /// Re-steps stored histories and reports the first difference of each.
    Replay,
    /// Recomputes every handle's earnings from the ledger, and fails if any differ from what is shown.
    RecomputeEarnings {
        /// Writes those that differ anew. It is in the audit log.
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        reason: operate::Reason,
    },
    /// Brings in events that never arrived, and holds Stripe's movements of money against the ledger. Ends with 2
    /// while there are differences.
    Reconcile(reconcile::Options),
    /// What an operator does about dead messages and effects, runs and queues.
    Operate {
        #[command(subcommand)]
        act: operate::Act,
        #[command(flatten)]
        reason: operate::Reason,
    },
    /// The Stripe simulator alone.
    Simulator(simulate::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let CommandLine { command, settings } = parse();
    let result = match command.unwrap_or(Command::Serve) {
        Command::Serve => serve::all(&settings).await,
        Command::Api => serve::api(&settings).await,
        Command::Worker => serve::worker(&settings).await,
        Command::Demo { json } => demo::run(&settings, json.into()).await,
        Command::Migrate { direction } => migrate::run(&settings, direction).await,
        Command::Openapi => {
            print!("{}", api::openapi_yaml());
            Ok(())
        }
        Command::Token(wish) => token::run(&settings, &wish),
        Command::Check => check::check(&settings).await,
        Command::Replay => check::replay(&settings).await,
        Command::RecomputeEarnings { repair, reason } => {
            recompute::run(&settings, repair.into(), &reason).await
        }
        Command::Operate { act, reason } => operate::run(&settings, &act, &reason).await,
        Command::Reconcile(options) => {
            return ended(reconcile::run(&settings, &options).await);
        }
        Command::Simulator(options) => simulate::run(&settings, &options).await,
    };
    ended(result.map(|()| ExitCode::SUCCESS))
}

fn ended(result: Result<ExitCode, Fatal>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("sluice: {error}");
        ExitCode::FAILURE
    })
}

/// The command line. What cannot be used is named by its environment variable, too.
fn parse() -> CommandLine {
    CommandLine::try_parse().unwrap_or_else(|error| {
        if let Some(variable) = variable_of(&error) {
            eprintln!("sluice: {variable} cannot be used:");
        }
        error.exit()
    })
}

fn variable_of(error: &clap::Error) -> Option<String> {
    let flag = error.get(ContextKind::InvalidArg)?.to_string();
    let mut command = CommandLine::command();
    command.build();
    let argument = command.get_arguments().find(|argument| argument.to_string() == flag)?;
    argument.get_env().map(|variable| variable.to_string_lossy().into_owned())
}

/// What ends the process: for a person, who reads one line.
type Fatal = Box<dyn std::error::Error + Send + Sync>;
