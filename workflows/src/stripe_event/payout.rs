//! What events about payouts mean. Every one of them carries the payout as it was then.

use super::{Envelope, Meaning, Object, Unrouted};
use crate::{
    connect_onboarding,
    money::Currency,
    payout::{Payee, Report},
    stripe::{Payout, PayoutStatus},
    timestamp::Timestamp,
};

/// Whether an event is about a payout.
pub(super) fn is_about_one(kind: &str) -> bool {
    kind.starts_with("payout.")
}

/// One of the platform's own.
pub(super) fn of_platform(object: &Object) -> Meaning {
    match read(object) {
        Ok(payout) => Meaning::For(Report { payee: Payee::Platform, payout }.message()),
        Err(why) => Meaning::Malformed(why),
    }
}

/// One of a connected account's: the run that knows the account knows whose it is.
pub(super) fn of_account(envelope: &Envelope) -> Meaning {
    let Some(account) = envelope.account.clone() else {
        return Meaning::Malformed("account is missing".to_owned());
    };
    match read(&envelope.data.object) {
        Ok(payout) => {
            let event =
                connect_onboarding::Event::PayoutReported { account: account.clone(), payout };
            Meaning::About(account, Unrouted::ConnectOnboarding(event))
        }
        Err(why) => Meaning::Malformed(why),
    }
}

/// <https://docs.stripe.com/api/payouts/object>
fn read(object: &Object) -> Result<Payout, String> {
    let id = object.id.clone().ok_or("data.object.id is missing")?;
    let amount = object.amount.ok_or("data.object.amount is missing")?;
    let currency = object.currency.as_deref().ok_or("data.object.currency is missing")?;
    let currency = Currency::parse(currency).map_err(|unknown| unknown.to_string())?;
    let arrives = object.arrival_date.ok_or("data.object.arrival_date is missing")?;
    let status = match object.status.as_ref().and_then(serde_json::Value::as_str) {
        Some("pending") => PayoutStatus::Pending,
        Some("in_transit") => PayoutStatus::InTransit,
        Some("paid") => PayoutStatus::Paid,
        Some("failed") => PayoutStatus::Failed,
        Some("canceled") => PayoutStatus::Canceled,
        _ => return Err("data.object.status is not that of a payout".to_owned()),
    };
    let failure = object.failure_message.clone().or_else(|| object.failure_code.clone());
    let arrives = Timestamp::from_secs(arrives);
    Ok(Payout { id, amount, currency, status, arrives, failure })
}
