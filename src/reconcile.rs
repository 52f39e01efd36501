//! `reconcile`: Stripe and this installation are held against each other, now.

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use engine::{Engine, EngineError, wake::NoWakeups};
use tokio_util::sync::CancellationToken;
use workers::reconcile::{Counts, Extent, Reconciler, Report};
use workflows::Timestamp;

use crate::{Fatal, assembly, settings::Settings, telemetry};

/// There are differences: a person is to look at them.
const DIFFERENT: u8 = 2;
/// How long verdicts wait for workers to work off what came in.
const REST: Duration = Duration::from_secs(60);
/// How long another process may be at it.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_secs(1);

/// What is looked at.
#[derive(Args)]
pub struct Options {
    /// Looks again at all that happened so lately: `3d`, `12h`, `30m` [default: at what is new]
    #[arg(long, value_parser = duration)]
    since: Option<Duration>,
    /// Only brings in events that never arrived.
    #[arg(long)]
    events_only: bool,
}

/// `3d`, `12h`, `30m`
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not like 3d, 12h or 30m");
    let (number, seconds) = [("d", 86_400), ("h", 3_600), ("m", 60)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))
        .ok_or_else(wrong)?;
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

pub async fn run(settings: &Settings, options: &Options) -> Result<ExitCode, Fatal> {
    telemetry::log("warn");
    let database = assembly::open(settings, &settings.database_url()).await?;
    assembly::require_current_schema(&database).await?;
    let engine = assembly::engine(database, Arc::new(NoWakeups));
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        assembly::asked_to_stop().await;
        stopping.cancel();
    });
    let stripe = assembly::stripe(&settings.reaching_simulator()?)?;
    let reconciler = Reconciler::new(engine.clone(), Arc::new(stripe), stop);
    let code = reconcile(&engine, &reconciler, options).await;
    // Whoever comes next need not wait for what this process held.
    engine.deregister().await?;
    engine.database().clone().close().await?;
    code
}

async fn reconcile(
    engine: &Engine,
    reconciler: &Reconciler,
    options: &Options,
) -> Result<ExitCode, Fatal> {
    let extent = Extent::All { since: options.since.map(|ago| since(engine, ago)) };
    eprintln!("reading events");
    let events = patiently(async || reconciler.events(extent).await).await?;
    print(&[("listed", events.listed), ("never arrived, put in", events.added)]);
    if options.events_only {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("reading the processor's fees");
    reconciler.fees().await?;
    eprintln!("waiting for workers to work off what came in ({} s at most)", REST.as_secs());
    reconciler.come_to_rest(REST).await?;
    eprintln!("holding movements of money against the ledger");
    let found = patiently(async || reconciler.movements(extent).await).await?;
    print(&[
        ("movements", found.listed),
        ("matched", found.matched),
        ("missing here", found.missing_here),
        ("missing at Stripe", found.missing_at_stripe),
        ("amount differs", found.amount_differs),
        ("not for the ledger", found.elsewhere),
    ]);
    match reconciler.open_differences().await? {
        0 => Ok(ExitCode::SUCCESS),
        open => {
            print(&[("open differences", open)]);
            eprintln!("`sluice operate attention` says what to do about each");
            Ok(ExitCode::from(DIFFERENT))
        }
    }
}

/// So long ago, in seconds as Stripe counts.
fn since(engine: &Engine, ago: Duration) -> i64 {
    let ago = i64::try_from(ago.as_secs()).unwrap_or(i64::MAX);
    (engine.clock().local_millis() / Timestamp::SECOND).saturating_sub(ago)
}

/// Does a round as soon as no other process does.
async fn patiently<F>(mut round: F) -> Result<Counts, Fatal>
where
    F: AsyncFnMut() -> Result<Option<Report>, EngineError>,
{
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match round().await? {
            Some(Report { counts, stopped: None }) => return Ok(counts),
            Some(Report { stopped: Some(why), .. }) => {
                return Err(format!("{why}; the next round goes on there").into());
            }
            None if tokio::time::Instant::now() >= deadline => {
                return Err("another process has been at it for too long".into());
            }
            None => {
                eprintln!("another process is at it");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

fn print(lines: &[(&str, i64)]) {
    for (what, count) in lines {
        println!("{count:>10}  {what}");
    }
}
