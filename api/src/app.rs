//! The whole application: routes, what they share, and the envelope around them.

use engine::{Engine, ingest::Ingest};
use poem::{Endpoint, EndpointExt, Response};

use crate::{
    config::{ApiConfig, App},
    docs,
    envelope::Envelope,
    head::HeadAsGet,
    throttle::Throttled,
};

/// The whole application, ready to be served. It answers every request, so that its error is never seen.
pub fn app(
    engine: Engine,
    ingest: Ingest,
    config: ApiConfig,
) -> impl Endpoint<Output = Response> + 'static {
    let app = App::new(engine, ingest, config);
    let docs = app.url(docs::ERRORS);
    docs::routes().data(app.clone()).with(Throttled(app)).with(Envelope { docs }).with(HeadAsGet)
}
