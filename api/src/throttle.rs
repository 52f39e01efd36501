//! Throttles: how often people may ask to sign in.

use std::num::NonZeroU32;

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use poem::Request;

use crate::{codes::Code, config::SignInLimits, problem::Problem};

/// After so many checks the keys that are at rest are forgotten.
const SWEEP: u64 = 4_096;

/// Keeps sign-in mails within bounds, by address and by client.
pub struct Throttles {
    addresses: DefaultKeyedRateLimiter<String>,
    clients: DefaultKeyedRateLimiter<String>,
    checks: std::sync::atomic::AtomicU64,
}

impl Throttles {
    /// With these limits.
    pub fn new(limits: SignInLimits) -> Self {
        let per_address = Quota::per_minute(NonZeroU32::MIN).allow_burst(limits.per_address);
        let per_client = Quota::per_second(NonZeroU32::MIN).allow_burst(limits.per_client);
        Self {
            addresses: RateLimiter::keyed(per_address),
            clients: RateLimiter::keyed(per_client),
            checks: Default::default(),
        }
    }

    /// Counts a request of a client.
    pub fn count_client(&self, request: &Request) -> Result<(), Problem> {
        let checks = self.checks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if checks % SWEEP == SWEEP - 1 {
            self.addresses.retain_recent();
            self.clients.retain_recent();
        }
        count(&self.clients, client_of(request), "too many sign-in requests from this network")
    }

    /// Counts a mail to an address.
    pub fn count_address(&self, email: &str) -> Result<(), Problem> {
        count(&self.addresses, email.to_owned(), "too many sign-in mails to this address")
    }
}

fn client_of(request: &Request) -> String {
    match request.remote_addr().as_socket_addr() {
        Some(address) => address.ip().to_string(),
        None => "unknown".to_owned(),
    }
}

fn count(
    limiter: &DefaultKeyedRateLimiter<String>,
    key: String,
    detail: &str,
) -> Result<(), Problem> {
    limiter.check_key(&key).map_err(|until| {
        let wait = until.wait_time_from(DefaultClock::default().now());
        Problem::new(Code::RateLimited, detail).retry_after(wait.as_secs() + 1)
    })
}
