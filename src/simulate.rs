//! The Stripe simulator: beside the API and workers in one process, or alone.

use std::path::PathBuf;

use clap::Args;
use secrecy::ExposeSecret;
use serde_json::Value;
use simulator::{Endpoint, Running, Simulator, SimulatorConfig};
use url::Url;
use workflows::plan::Plan;

use crate::{Fatal, assembly, settings::Settings, telemetry};

/// How the simulator runs alone.
#[derive(Args)]
pub struct Options {
    /// The Sluice that gets the webhooks [default: SLUICE_PUBLIC_URL]
    #[arg(long)]
    webhooks_to: Option<Url>,
    /// Keeps the state across restarts.
    #[arg(long)]
    state_file: Option<PathBuf>,
}

/// The simulator alone, until the process is asked to stop.
pub async fn run(settings: &Settings, options: &Options) -> Result<(), Fatal> {
    telemetry::log("info");
    if settings.is_live() {
        return Err("STRIPE_SECRET_KEY is a live key: the simulator takes none".into());
    }
    let target = match &options.webhooks_to {
        Some(target) => target.clone(),
        None => settings.public_url()?,
    };
    let mut running = start(settings, &target, options.state_file.clone()).await?;
    tracing::info!("the simulator (not Stripe) is at {}", running.url());
    tokio::select! {
        () = assembly::asked_to_stop() => Ok(running.shutdown().await?),
        ended = running.wait() => Ok(ended?),
    }
}

/// The simulator beside the rest, with its state in the data directory.
pub async fn beside(settings: &Settings) -> Result<Running, Fatal> {
    tokio::fs::create_dir_all(&settings.data_dir).await?;
    let state_file = settings.data_dir.join("simulator.json");
    let running = start(settings, &settings.public_url()?, Some(state_file)).await?;
    tracing::warn!(
        "STRIPE_SECRET_KEY is not set: the simulator at {} stands in for Stripe",
        running.url()
    );
    Ok(running)
}

/// What plans cost at the simulator, a month, in cents: made up, so that the way to a plan can be walked.
const SIMULATED_PRICES: &[(Plan, &str, &str)] =
    &[(Plan::Pro, "sluice_pro", "2900"), (Plan::Business, "sluice_business", "9900")];

/// Settings that lead to the simulator where one runs beside, with prices of its own for the plans.
pub async fn settings_with(
    settings: &Settings,
    simulator: Option<&Running>,
) -> Result<Settings, Fatal> {
    let mut settings = settings.clone();
    if let Some(simulator) = simulator {
        settings.stripe_api_base = Some(Url::parse(&simulator.url())?);
        for (plan, key, amount) in SIMULATED_PRICES {
            let price = simulated_price(&settings, simulator, *plan, key, amount).await?;
            settings.simulated_prices.push((*plan, price));
        }
    }
    Ok(settings)
}

/// The price of a plan at the simulator, which may have it from an earlier start.
async fn simulated_price(
    settings: &Settings,
    simulator: &Running,
    plan: Plan,
    key: &str,
    amount: &str,
) -> Result<String, Fatal> {
    let (url, stripe_key) =
        (format!("{}/v1/prices", simulator.url()), settings.stripe_secret_key()?);
    let client = reqwest::Client::new();
    let known = client.get(&url).query(&[("lookup_keys[0]", key)]);
    let known: Value = known
        .bearer_auth(stripe_key.expose_secret())
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    if let Some(id) = known["data"][0]["id"].as_str() {
        return Ok(id.to_owned());
    }
    let name = format!("Sluice {plan}");
    let form = [
        ("currency", "usd"),
        ("unit_amount", amount),
        ("recurring[interval]", "month"),
        ("product_data[name]", name.as_str()),
        ("lookup_key", key),
    ];
    let made = client.post(&url).form(&form).bearer_auth(stripe_key.expose_secret());
    let made: Value = made.send().await?.error_for_status()?.json().await?;
    let id = made["id"].as_str().ok_or("the simulator made a price without an id")?;
    Ok(id.to_owned())
}

async fn start(
    settings: &Settings,
    webhooks_to: &Url,
    state_file: Option<PathBuf>,
) -> Result<Running, Fatal> {
    let base = webhooks_to.as_str().trim_end_matches('/');
    let platform = settings.webhook_secrets()?;
    let connect = settings.connect_webhook_secrets()?;
    let endpoint = |route: &str, secrets: &[secrecy::SecretString]| {
        secrets.first().map(|secret| Endpoint {
            url: format!("{base}/v2/public/stripe/{route}"),
            secret: secret.expose_secret().to_owned(),
        })
    };
    let config = SimulatorConfig {
        bind: settings.simulator_bind,
        platform_endpoint: endpoint("webhook", &platform),
        connect_endpoint: endpoint("connect-webhook", &connect),
        state_file,
        // Without a fixed seed: ids of an earlier start must not come up again.
        seed: rand::random(),
        public_url: None,
    };
    Ok(Simulator::start(config).await?)
}
