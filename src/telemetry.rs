//! Logs and metrics.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::EnvFilter;

use crate::Fatal;

/// Renders the metrics for Prometheus.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Logs to standard error: at `info`, or as `RUST_LOG` says.
pub fn log(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // A second call in one process changes nothing.
    let _already = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
}

/// Begins to count.
pub fn metrics() -> Result<Metrics, Fatal> {
    let recorder = PrometheusBuilder::new().install_recorder()?;
    Ok(Arc::new(move || recorder.render()))
}
