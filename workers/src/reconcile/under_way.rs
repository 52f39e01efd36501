//! Movements whose end was not known when they were listed: payouts on their way, refunds that are pending. A
//! payout takes days and is posted when it has arrived, so each is looked up once more, after that.

use engine::EngineError;
use entities::verdict::{self, Verdict};
use serde_json::Value;
use workflows::Timestamp;

use super::{
    Counts, Reconciler, Report, Round,
    differences::Difference,
    movements::{MATCHED, counted, judge_amount, wanted_again},
    reading::{is_refusal, said},
};
use crate::stripe::Scope;

/// What such a movement's verdict is called.
pub const UNDER_WAY: &str = "under_way";
/// How soon to look again at what does not say when it will be over, in seconds.
pub const LOOK_AGAIN: i64 = 6 * 3_600;
/// How many are looked up in a round: a call each.
const LOOKED_UP: u64 = 200;

/// What became of a movement.
enum End {
    /// It is still not known.
    NotYet,
    /// It happened.
    Happened,
    /// It did not happen after all: Stripe moves the money back.
    CameToNothing,
}

impl Reconciler {
    /// Looks up what was under way.
    pub(super) async fn look_again(&self) -> Result<Report, EngineError> {
        let (db, now) = (self.engine.database().write(), self.engine.clock().local_millis());
        let mut report = Report::default();
        for open in verdict::under_way(db, now, LOOKED_UP).await? {
            let scope = match open.account.as_str() {
                "" => Scope::Platform,
                account => Scope::Account(account.to_owned()),
            };
            let end = match self.stripe.look_up(&scope, &path(&open), None).await {
                Ok(object) => end_of(&object),
                // Whose account is gone cannot be asked; it may come back.
                Err(error) if is_refusal(&error) => End::NotYet,
                Err(error) => {
                    report.stopped = Some(said(&error));
                    break;
                }
            };
            let verdict = self.ended(&open, end).await?;
            report.counts = report.counts.and(match verdict.verdict.as_str() {
                UNDER_WAY => Counts::default(),
                name => counted(name),
            });
            // At once: what another process finds out meanwhile is not overwritten by what was seen long ago.
            self.keep_verdicts(vec![verdict]).await?;
            if !self.hold_on(Round::Movements).await? {
                report.stopped = Some("another process has gone on".to_owned());
                break;
            }
        }
        Ok(report)
    }

    async fn ended(&self, open: &Verdict, end: End) -> Result<Verdict, EngineError> {
        let now = self.engine.clock().local_millis();
        let again = Verdict { judged_at: now + LOOK_AGAIN * Timestamp::SECOND, ..open.clone() };
        if matches!(end, End::NotYet) {
            return Ok(again);
        }
        let found = self.compare(&[wanted_again(open)]).await?;
        let verdict = match (found.first(), end) {
            (Some(found), _) if found.transaction_id.is_some() => {
                judge_amount(open.amount, &open.currency, found)
            }
            (_, End::CameToNothing) => MATCHED,
            (_, End::Happened) => Difference::MissingHere.name(),
            (_, End::NotYet) => return Ok(again),
        };
        Ok(Verdict { verdict: verdict.to_owned(), judged_at: now, ..open.clone() })
    }
}

/// Where the object is read that moved the money, or is to.
fn path(open: &Verdict) -> String {
    let object = &open.stripe_object;
    match open.key.split_once(':').map(|(name, _)| name) {
        Some("paid" | "fee") => format!("/payment_intents/{object}"),
        Some(name) => format!("/{name}s/{object}"),
        None => format!("/{object}"),
    }
}

/// By the status of a payout, a refund or a payment.
fn end_of(object: &Value) -> End {
    match object["status"].as_str() {
        Some("paid" | "succeeded") => End::Happened,
        // A payment that failed can be made once more, by another means.
        Some("failed" | "canceled" | "requires_payment_method") => End::CameToNothing,
        _ => End::NotYet,
    }
}
