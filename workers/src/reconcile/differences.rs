//! Differences become cases for a person, and say what to do.

use engine::{Engine, EngineError};
use entities::{
    operator_case::OperatorCase,
    verdict::{self, Verdict},
};
use uuid::Uuid;
use workflows::{
    money::{Currency, Money},
    record::CaseKind,
};

/// How a movement differs from the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Money moved, and nothing was posted.
    MissingHere,
    /// Something was posted, and no money moved.
    MissingAtStripe,
    /// Another amount was posted.
    AmountDiffers,
}

impl Difference {
    /// As verdicts and cases are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingHere => CaseKind::MissingHere.into(),
            Self::MissingAtStripe => CaseKind::MissingAtStripe.into(),
            Self::AmountDiffers => CaseKind::AmountDiffers.into(),
        }
    }

    /// The difference of that name.
    pub fn of(name: &str) -> Option<Self> {
        let all = [Self::MissingHere, Self::MissingAtStripe, Self::AmountDiffers];
        all.into_iter().find(|difference| difference.name() == name)
    }
}

/// The case that a verdict is, if it is one. Its key is that of the posting: it holds Stripe's id, and one object
/// may miss more than one posting.
pub fn case(verdict: &Verdict) -> Option<OperatorCase> {
    let difference = Difference::of(&verdict.verdict)?;
    Some(OperatorCase {
        id: Uuid::now_v7(),
        kind: verdict.verdict.clone(),
        key: verdict.key.clone(),
        run_id: None,
        detail: detail(difference, verdict),
        status: "OPEN".to_owned(),
        created_at: verdict.judged_at,
    })
}

fn detail(difference: Difference, verdict: &Verdict) -> String {
    let Verdict { key, stripe_object, balance_transaction, .. } = verdict;
    match difference {
        Difference::MissingHere => format!(
            "Stripe moved {} for {stripe_object} ({balance_transaction}{}), and the ledger has no {key}. {}",
            moved(verdict),
            of_account(verdict),
            remedy(key),
        ),
        Difference::MissingAtStripe => format!(
            "The ledger has {key}, and Stripe lists no movement for {stripe_object}. Look {stripe_object} up in \
             Stripe's dashboard: if it is there, run `sluice reconcile --since` from before it was made; if it is \
             not, the database may belong to another Stripe account."
        ),
        Difference::AmountDiffers => format!(
            "Stripe moved {} for {stripe_object} ({balance_transaction}{}), and {key} was posted with another amount. \
             Compare both; what the ledger lacks is posted by hand, and this case closed with the reason.",
            moved(verdict),
            of_account(verdict),
        ),
    }
}

/// What `sluice operate apply-case` does, where it can.
fn remedy(key: &str) -> &'static str {
    match key.split_once(':').map(|(name, _)| name) {
        Some("paid") => {
            "Apply this case: the purchase is told once more how its payment page stands at Stripe."
        }
        Some("fee") => "Apply this case: the purchase is told once more of the processor's fee.",
        Some("refund" | "refund_failed") => {
            "Apply this case: the purchase is told once more how the refund stands at Stripe."
        }
        Some("dispute_withdrawn" | "dispute_reinstated") => {
            "Apply this case: the dispute is read once more from Stripe."
        }
        Some("payout" | "payout_failed") => {
            "Apply this case: the payout is read once more from Stripe."
        }
        Some("reversal") => {
            "Apply this case: the payment is read once more, with what came back of its transfers."
        }
        Some("transfer") => {
            "It was made by hand at Stripe. Apply this case: if it is in the transfer_group of a payment, that is \
             read once more. If it is not, close this case with the reason."
        }
        _ => {
            "It was made by hand at Stripe: take it back there, or close this case with the reason."
        }
    }
}

fn moved(verdict: &Verdict) -> String {
    match (verdict.amount, Currency::parse(&verdict.currency)) {
        (Some(minor), Ok(currency)) => Money::new(minor, currency).to_string(),
        (Some(minor), Err(_)) => format!("{minor} {}", verdict.currency),
        (None, _) => "money".to_owned(),
    }
}

fn of_account(verdict: &Verdict) -> String {
    match verdict.account.as_str() {
        "" => String::new(),
        account => format!(", account {account}"),
    }
}

/// The side of that name.
pub fn side(name: &str) -> &'static str {
    ["creator", "processor_fee"].into_iter().find(|side| *side == name).unwrap_or("stripe")
}

/// Closes the cases of differences that are none any more.
pub async fn close_settled(engine: &Engine) -> Result<(), EngineError> {
    let now = engine.clock().local_millis();
    let closed = verdict::close_settled(engine.database().write(), now).await?;
    if closed > 0 {
        tracing::info!(closed, "differences have settled by themselves");
    }
    Ok(())
}
