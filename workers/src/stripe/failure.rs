//! What Stripe's errors mean for a retry. <https://docs.stripe.com/error-low-level>

use engine::Trouble;
use stripe::StripeError;
use stripe_shared::ApiErrorsType;
use workflows::effect::Failure;

/// Stripe's rate limits are by the second.
const AFTER_RATE_LIMIT: i64 = 1_000;

/// Whether an error of the other side is kept under the idempotency key of the call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keyed {
    /// A 500 is stored and repeated for the key.
    Yes,
    /// The call carried no key, or only reads.
    No,
}

/// The trouble behind an error.
pub fn trouble(keyed: Keyed, error: StripeError) -> Trouble {
    let (api, status) = match error {
        StripeError::Stripe(api, status) => (api, status),
        other => {
            return Trouble::Transient { retry_after: None, message: other.to_string() };
        }
    };
    let message = api.message.clone().unwrap_or_else(|| format!("Stripe answered {status}"));
    let kind = &api.type_;
    match status {
        // The key was used with other parameters, by another release: what it did is looked up.
        400 if *kind == ApiErrorsType::IdempotencyError => Trouble::Replayed { message },
        500.. if keyed == Keyed::Yes => Trouble::Replayed { message },
        429 => Trouble::Transient { retry_after: Some(AFTER_RATE_LIMIT), message },
        // 401 is a wrong or revoked key, and 403 without a code one that may not do this: a person mends the
        // configuration, and nothing is lost meanwhile.
        403 if api.code.is_none() => Trouble::Transient { retry_after: None, message },
        401 | 409 | 500.. => Trouble::Transient { retry_after: None, message },
        _ => {
            let code = api.code.as_ref().map_or("stripe_refused", |code| code.as_str()).to_owned();
            Trouble::Permanent(Failure { code, message })
        }
    }
}
