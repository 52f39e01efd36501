//! The `Stripe-Signature` header (<https://docs.stripe.com/webhooks#verify-manually>).

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Signs a webhook's body as Stripe does: `t=<seconds>,v1=<hex>`, where the second part is the
/// HMAC-SHA256 of `<seconds>.<body>` under the endpoint's secret, prefix included.
#[must_use]
pub fn sign(secret: &str, body: &str, seconds: i64) -> String {
    // HMAC takes keys of any length, so there is no error to report.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}
