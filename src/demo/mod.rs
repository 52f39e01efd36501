//! `demo`: the whole story on a fresh database, over HTTP like any client, with every figure checked.

mod client;
mod narrator;
mod story;

use std::net::{SocketAddr, TcpListener};

use crate::{Fatal, serve::House, settings::Settings, telemetry};

pub use narrator::Output;

/// Tells the story in an installation of its own, which goes when it is told.
pub async fn run(settings: &Settings, output: Output) -> Result<(), Fatal> {
    telemetry::log("error");
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    let settings = settings.fresh(data, free_address()?, free_address()?);
    let house = House::open(&settings, telemetry::metrics()?).await?;
    let told = story::tell(&settings, &house.engine, &mut narrator::Narrator::new(output)).await;
    house.close(&settings).await?;
    told
}

/// An address that nobody listens on now.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
