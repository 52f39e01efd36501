//! Verdicts: every movement of money at Stripe is held against the ledger, a page in one query, and then the
//! other way, every posting that no movement explains.

use async_trait::async_trait;
use engine::EngineError;
use entities::{
    cursor, operator_case,
    verdict::{self, Found, Verdict},
};
use serde_json::Value;
use workflows::Timestamp;

use super::{
    Counts, Extent, Reconciler, Report, Round, SETTLING, differences,
    differences::Difference,
    events::Events,
    movement::{Expected, Movement, Ownership},
    reading::{List, Reach, millis},
    under_way::UNDER_WAY,
};
use crate::stripe::{Created, Scope, Wanted};

/// Where the ledger was held against Stripe up to.
const LEDGER: &str = "reconcile:ledger";
/// Stripe has listed what was posted so long ago, in milliseconds.
const LISTED_WITHIN: i64 = Timestamp::HOUR;
const CHUNK: u64 = 500;
/// Rounding may differ by one minor unit.
const TOLERANCE: i64 = 1;
/// Postings that follow a movement of the platform's which is listed with it.
const EXPLAINED: &str = "'paid', 'quarantined', 'refund', 'refund_failed', 'transferred_again', \
                         'dispute_withdrawn', 'dispute_reinstated'";

/// How a movement stands to the ledger: also what cases about it are called.
pub const MATCHED: &str = "matched";

/// Movements of the platform's balance, or payouts of a connected account.
struct Movements<'a> {
    reconciler: &'a Reconciler,
    scope: Scope,
    kind: Kind,
}

/// Which movements: Stripe lists all, or those of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    All,
    Payouts,
    PayoutsSentBack,
}

/// Of a connected account. What else moves there is the other side of what moves with the platform; what was called
/// off was never posted.
const OF_ACCOUNTS: [Kind; 2] = [Kind::Payouts, Kind::PayoutsSentBack];

#[async_trait]
impl List for Movements<'_> {
    const KIND: &'static str = "movements";
    const ROUND: Round = Round::Movements;

    fn wanted(&self, created: Created) -> Wanted {
        let kind = match self.kind {
            Kind::All => None,
            Kind::Payouts => Some("payout"),
            Kind::PayoutsSentBack => Some("payout_failure"),
        };
        Wanted {
            path: "/balance_transactions",
            kind,
            created,
            starting_after: None,
            expand: &["data.source"],
            limit: 0,
        }
    }

    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn part(&self) -> &'static str {
        match self.kind {
            Kind::All | Kind::Payouts => "",
            Kind::PayoutsSentBack => ":sent_back",
        }
    }

    async fn take(&self, rows: Vec<Value>) -> Result<Counts, EngineError> {
        let movements: Vec<Movement> =
            rows.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?;
        let expected: Vec<_> = movements
            .iter()
            .flat_map(|movement| movement.expected().into_iter().map(move |it| (movement, it)))
            .collect();
        let silent = movements.iter().filter(|movement| movement.expected().is_empty()).count();
        let wanted: Vec<_> = expected.iter().map(|(_, it)| it.wanted.clone()).collect();
        let reconciler = self.reconciler;
        let found = reconciler.compare(&wanted).await?;
        let mut counts = Counts { elsewhere: silent as i64, ..Counts::default() };
        let mut verdicts = Vec::new();
        for ((movement, expected), found) in expected.iter().zip(&found) {
            if let Some(until) = movement.under_way_until(reconciler.now())
                && found.transaction_id.is_none()
                && is_ours(expected, found)
            {
                counts.elsewhere += 1;
                verdicts.push(Verdict {
                    judged_at: millis(until),
                    ..self.kept(movement, expected, UNDER_WAY)
                });
                continue;
            }
            let Some(verdict) = judge(expected, &movement.currency, found) else {
                counts.elsewhere += 1;
                continue;
            };
            counts = counts.and(counted(verdict));
            verdicts.push(self.kept(movement, expected, verdict));
        }
        reconciler.keep_verdicts(verdicts).await?;
        Ok(counts)
    }
}

impl Movements<'_> {
    fn kept(&self, movement: &Movement, expected: &Expected, verdict: &str) -> Verdict {
        Verdict {
            key: expected.wanted.key.clone(),
            verdict: verdict.to_owned(),
            account: self.scope.account().to_owned(),
            balance_transaction: movement.id.clone(),
            stripe_object: expected.object.clone(),
            side: expected.wanted.side.to_owned(),
            amount: expected.amount,
            currency: movement.currency.to_uppercase(),
            judged_at: self.reconciler.engine.clock().local_millis(),
        }
    }
}

/// The verdict on a posting; none, if it is nobody's here.
fn judge(expected: &Expected, currency: &str, found: &Found) -> Option<&'static str> {
    if found.transaction_id.is_none() {
        return is_ours(expected, found).then_some(Difference::MissingHere.name());
    }
    Some(judge_amount(expected.amount, currency, found))
}

fn is_ours(expected: &Expected, found: &Found) -> bool {
    found.known == 1 || expected.ownership == Ownership::Certain
}

/// Amounts of another currency went through an exchange at Stripe's own rate.
pub(super) fn judge_amount(amount: Option<i64>, currency: &str, found: &Found) -> &'static str {
    let is_same_currency =
        found.currency.as_ref().is_some_and(|posted| posted.eq_ignore_ascii_case(currency));
    let apart = amount.map_or(0, |amount| amount.abs_diff(found.amount.unwrap_or_default()));
    match is_same_currency && apart > TOLERANCE.unsigned_abs() {
        true => Difference::AmountDiffers.name(),
        false => MATCHED,
    }
}

pub(super) fn counted(verdict: &str) -> Counts {
    let mut counts = Counts::default();
    match Difference::of(verdict) {
        None => counts.matched = 1,
        Some(Difference::MissingHere) => counts.missing_here = 1,
        Some(Difference::MissingAtStripe) => counts.missing_at_stripe = 1,
        Some(Difference::AmountDiffers) => counts.amount_differs = 1,
    }
    counts
}

impl Reconciler {
    pub(super) async fn movements_round(&self, extent: Extent) -> Result<Report, EngineError> {
        // Nothing is missing here that events may still bring.
        let events = Events { reconciler: self, scope: Scope::Platform };
        let Some(heard) = self.reached(&events).await? else {
            let stopped = Some("events have not been read yet".to_owned());
            return Ok(Report { stopped, ..Report::default() });
        };
        let to = heard.min(self.now() - SETTLING);
        let reach = Reach { beginning: self.beginning().await?, since: extent.since(), to };
        let mut report = Report::default();
        if reach.beginning < to {
            report = self.read(&self.of_platform(), reach).await?;
            let accounts = match report.stopped {
                // Their turn comes when Stripe can be asked.
                Some(_) => Vec::new(),
                None => self.accounts(Round::Movements, extent).await?,
            };
            for account in accounts {
                if report.stopped.is_some() {
                    break;
                }
                for kind in OF_ACCOUNTS {
                    let scope = Scope::Account(account.clone());
                    let payouts = Movements { reconciler: self, scope, kind };
                    report = report.and(self.read(&payouts, reach).await?);
                }
            }
        }
        report = report.and(self.look_again().await?);
        report.counts = report.counts.and(self.other_way_round().await?);
        self.judge_again().await?;
        differences::close_settled(&self.engine).await?;
        Ok(report)
    }

    fn of_platform(&self) -> Movements<'_> {
        Movements { reconciler: self, scope: Scope::Platform, kind: Kind::All }
    }

    /// Postings that no movement explains, though Stripe must have listed it by now.
    async fn other_way_round(&self) -> Result<Counts, EngineError> {
        let mut counts = Counts::default();
        let Some(reached) = self.reached(&self.of_platform()).await? else {
            return Ok(counts);
        };
        let db = self.engine.database().write();
        let after = cursor::find(db, LEDGER).await?.and_then(|text| text.parse().ok());
        let mut after: i64 = after.unwrap_or(0);
        let before = millis(reached) - LISTED_WITHIN;
        let up_to = verdict::settled_up_to_any_handle(db, after, before).await?;
        while after < up_to {
            let unjudged =
                verdict::unjudged_any_handle(db, (after, up_to), EXPLAINED, CHUNK).await?;
            let verdicts: Vec<_> =
                unjudged.iter().map(|posting| self.unexplained(posting)).collect();
            counts.missing_at_stripe += verdicts.len() as i64;
            self.keep_verdicts(verdicts).await?;
            let is_full = unjudged.len() as u64 == CHUNK;
            after = unjudged.last().filter(|_| is_full).map_or(up_to, |last| last.id);
            cursor::set(db, LEDGER, &after.to_string()).await?;
        }
        Ok(counts)
    }

    fn unexplained(&self, posting: &verdict::Unjudged) -> Verdict {
        Verdict {
            key: posting.key.clone(),
            verdict: Difference::MissingAtStripe.name().to_owned(),
            account: String::new(),
            balance_transaction: String::new(),
            stripe_object: posting.stripe_object.clone(),
            side: String::new(),
            amount: None,
            currency: posting.currency.clone(),
            judged_at: self.engine.clock().local_millis(),
        }
    }

    /// What was missing here may have come since.
    async fn judge_again(&self) -> Result<(), EngineError> {
        let mut after = String::new();
        loop {
            let db = self.engine.database().write();
            let open = verdict::open_differences(db, &after, CHUNK).await?;
            let Some(last) = open.last() else { return Ok(()) };
            after.clone_from(&last.key);
            let listed: Vec<_> =
                open.iter().filter(|open| !open.balance_transaction.is_empty()).collect();
            let wanted: Vec<_> = listed.iter().map(|open| wanted_again(open)).collect();
            let found = self.compare(&wanted).await?;
            let judged_at = self.engine.clock().local_millis();
            let settled = listed.iter().zip(found).filter(|(_, it)| it.transaction_id.is_some());
            let verdicts = settled.map(|(open, found)| Verdict {
                verdict: judge_amount(open.amount, &open.currency, &found).to_owned(),
                judged_at,
                ..Verdict::clone(open)
            });
            self.keep_verdicts(verdicts.collect()).await?;
        }
    }

    pub(super) async fn compare(
        &self,
        wanted: &[verdict::Wanted],
    ) -> Result<Vec<Found>, EngineError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        Ok(verdict::compare(self.engine.database().write(), wanted).await?)
    }

    /// Keeps verdicts, and opens cases for differences, in one transaction.
    pub(super) async fn keep_verdicts(
        &self,
        mut verdicts: Vec<Verdict>,
    ) -> Result<(), EngineError> {
        // Of several movements under one key (a dispute settled in parts), one says it all.
        verdicts.sort_by(|one, other| one.key.cmp(&other.key));
        verdicts.dedup_by(|one, other| one.key == other.key);
        if verdicts.is_empty() {
            return Ok(());
        }
        let cases: Vec<_> = verdicts.iter().filter_map(differences::case).collect();
        let transaction = self.engine.database().begin().await?;
        verdict::keep(&transaction, &verdicts).await?;
        if !cases.is_empty() {
            operator_case::open(&transaction, &cases).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

pub(super) fn wanted_again(open: &Verdict) -> verdict::Wanted {
    verdict::Wanted {
        key: open.key.clone(),
        side: differences::side(&open.side),
        known_by: None,
        because_of: None,
    }
}
