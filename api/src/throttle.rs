//! Throttles: how often a caller may use a route.
//!
//! Each route has a bucket for each caller: the subject of a token, a signed-in visitor, or the client's
//! address where nobody has to say who they are. A bucket holds so many requests and fills up again within a
//! minute. Every answer of a throttled route says how full it is (`RateLimit-*`).
//!
//! With Redis all API processes share the buckets; without it, or while it is away, each process has its own.

mod local;
mod route;
mod shared;

use std::{num::NonZeroU32, time::Duration};

use poem::{Response, http::HeaderName};
use workflows::keyed_hash::Keys;

pub use route::{Throttled, client_of, count_caller};
pub use shared::SharedThrottle;

use crate::{client_address::TrustedProxies, codes::Code, config::SignInLimits, problem::Problem};
use local::Local;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
/// How many clients' sign-ins a neighbourhood has: somebody who has all of it gains no more.
const NEIGHBOURS: NonZeroU32 = NonZeroU32::MIN.saturating_add(15);
/// What the hash of a bucket's name is for: no address and no subject stands in Redis.
const PURPOSE: &str = "throttle";

/// How requests are throttled.
#[derive(Clone)]
pub struct ThrottleConfig {
    /// Reads of one route by one caller at once; as many again within a minute.
    pub reads: NonZeroU32,
    /// Writes of one route by one caller at once; as many again within a minute.
    pub writes: NonZeroU32,
    /// Which proxies are believed when they name a client.
    pub trusted_proxies: TrustedProxies,
    /// What all API processes share, where there is Redis.
    pub shared: Option<SharedThrottle>,
}

impl ThrottleConfig {
    /// Reads a minute, unless configured otherwise.
    pub const READS: NonZeroU32 = NonZeroU32::MIN.saturating_add(599);
    /// Writes a minute, unless configured otherwise.
    pub const WRITES: NonZeroU32 = NonZeroU32::MIN.saturating_add(119);
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            reads: Self::READS,
            writes: Self::WRITES,
            trusted_proxies: TrustedProxies::default(),
            shared: None,
        }
    }
}

/// What is counted: each has a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    /// Requests that change nothing.
    Reads,
    /// Requests that change something.
    Writes,
    /// Requests of the sign-in, by client.
    SignIns,
    /// The same, by neighbourhood.
    NeighbourhoodSignIns,
    /// Sign-in mails, by address.
    Mails,
}

impl Measure {
    const ALL: [Self; 5] =
        [Self::Reads, Self::Writes, Self::SignIns, Self::NeighbourhoodSignIns, Self::Mails];
}

/// A bucket's size, and how long it takes for one more request.
#[derive(Clone, Copy, Debug)]
struct Limit {
    burst: NonZeroU32,
    interval: Duration,
}

impl Limit {
    fn a_minute(burst: NonZeroU32) -> Self {
        Self { burst, interval: Duration::from_secs(60) / burst.get() }
    }

    fn of(measure: Measure, config: &ThrottleConfig, sign_ins: SignInLimits) -> Self {
        match measure {
            Measure::Reads => Self::a_minute(config.reads),
            Measure::Writes => Self::a_minute(config.writes),
            Measure::SignIns => {
                Self { burst: sign_ins.per_client, interval: Duration::from_secs(1) }
            }
            Measure::NeighbourhoodSignIns => Self {
                burst: sign_ins.per_client.saturating_mul(NEIGHBOURS),
                interval: Duration::from_secs(1) / NEIGHBOURS.get(),
            },
            Measure::Mails => {
                Self { burst: sign_ins.per_address, interval: Duration::from_secs(60) }
            }
        }
    }
}

/// What a bucket says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decision {
    standing: Standing,
    /// How long to wait, if the request came too early.
    wait: Option<Duration>,
}

/// How full a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    limit: u32,
    remaining: u32,
    /// Until it is full.
    reset: Duration,
}

impl Standing {
    /// Says so in an answer, in the fields that clients know best:
    /// <https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-06>
    pub fn dress(&self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(LIMIT, self.limit.into());
        headers.insert(REMAINING, self.remaining.into());
        headers.insert(RESET, seconds(self.reset).into());
    }
}

/// Counts requests.
pub struct Throttles {
    local: Local,
    shared: Option<SharedThrottle>,
    limits: [Limit; Measure::ALL.len()],
    trusted_proxies: TrustedProxies,
    keys: Keys,
}

impl Throttles {
    /// With these limits. The keys keep whom a bucket belongs to out of Redis.
    pub fn new(config: &ThrottleConfig, sign_ins: SignInLimits, keys: Keys) -> Self {
        let limits = Measure::ALL.map(|measure| Limit::of(measure, config, sign_ins));
        Self {
            local: Local::new(limits),
            shared: config.shared.clone(),
            limits,
            trusted_proxies: config.trusted_proxies.clone(),
            keys,
        }
    }

    /// Counts a sign-in mail to an address, whether or not anybody is known by it. Addresses that differ in what
    /// stands after a plus lead to one mailbox.
    pub async fn count_mail(&self, email: &str) -> Result<(), Problem> {
        let decision = self.decide(Measure::Mails, "", &mailbox(email)).await;
        allow(decision, "too many sign-in mails to this address")
    }

    async fn decide(&self, measure: Measure, bucket: &str, caller: &str) -> Decision {
        let name = self.keys.hash(PURPOSE, &format!("{measure:?}:{bucket}:{caller}"));
        if let Some(shared) = &self.shared
            && let Some(decision) = shared.decide(&name, self.limits[measure as usize]).await
        {
            return decision;
        }
        self.local.decide(measure, name)
    }
}

/// `maria+news@example.com` without the `+news`.
fn mailbox(email: &str) -> String {
    match email.rsplit_once('@').map(|(local, domain)| (local.split_once('+'), domain)) {
        Some((Some((name, _)), domain)) if !name.is_empty() => format!("{name}@{domain}"),
        _ => email.to_owned(),
    }
}

fn allow(decision: Decision, detail: &str) -> Result<(), Problem> {
    match decision.wait {
        None => Ok(()),
        Some(wait) => {
            Err(Problem::new(Code::RateLimited, detail).retry_after(seconds(wait).max(1)))
        }
    }
}

/// Whole seconds, rounded up.
fn seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}
