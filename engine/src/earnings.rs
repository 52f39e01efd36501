//! The earnings recomputed from the ledger, handle by handle, and held against what the rollups came to.
//!
//! Every night it is done for every handle; what differs becomes an operator case. How far a night's
//! comparison is stands in the database, so that it goes on where it was after a restart, whichever process
//! takes it up. Nothing waits for it: a comparison is one read of one handle.

use std::fmt;

use entities::{cursor, earnings_check, operator_case};
use sea_orm::ConnectionTrait;
use uuid::Uuid;
use workflows::{Timestamp, id::HandleId, record::CaseKind};

use crate::{By, Engine, EngineError};

/// When the night's comparison begins, after midnight (UTC).
const BEGINS: i64 = 3 * Timestamp::HOUR;
/// How many handles are compared before it is taken down how far that is.
const CHUNK: usize = 50;
const CURSOR: &str = "earnings_recomputed";

/// What differs in a currency of a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarningsDifference {
    /// Whose.
    pub handle: HandleId,
    /// How, and in which currency.
    pub found: earnings_check::Difference,
}

impl fmt::Display for EarningsDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (handle, found) = (self.handle, &self.found);
        write!(
            f,
            "{handle} earned {} gross and {} net in {} by the rollup, {} and {} by the ledger ({} rows differ)",
            found.rolled_up_gross,
            found.rolled_up_net,
            found.currency,
            found.posted_gross,
            found.posted_net,
            found.differing
        )
    }
}

/// What is done about a handle whose earnings differ.
#[derive(Clone, Copy, Debug)]
pub enum Recomputed<'a> {
    /// It is told.
    Compared,
    /// They are written anew, and the audit log says who did it.
    Repaired(&'a By),
}

/// What a recomputation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// How many handles were compared.
    pub handles: u64,
    /// What differed.
    pub differences: Vec<EarningsDifference>,
}

impl Engine {
    /// Recomputes the earnings of every handle, and says what differed.
    pub async fn recompute_earnings(&self, wish: Recomputed<'_>) -> Result<Compared, EngineError> {
        let mut compared = Compared::default();
        let mut after = Uuid::nil();
        while let Some(handle) = self.next_with_earnings(after).await? {
            after = handle.0;
            compared.handles += 1;
            let differences = self.compare_earnings(handle).await?;
            if let (Recomputed::Repaired(by), false) = (wish, differences.is_empty()) {
                self.rewrite_earnings(handle, by).await?;
            }
            compared.differences.extend(differences);
        }
        Ok(compared)
    }

    /// Goes on with the night's comparison, if it is not over: each difference becomes a case. Processes that
    /// do so at once do some of it twice, and open the same cases.
    pub async fn compare_earnings_nightly(&self) -> Result<u64, EngineError> {
        let night = Timestamp::from_millis(self.clock.local_millis() - BEGINS).day();
        let mut compared = 0;
        loop {
            let db = self.database.write();
            let after = match cursor::find(db, CURSOR).await?.as_deref().map(Position::read) {
                Some(Some(position)) if position.night >= night => match position.after {
                    Some(after) => after,
                    None => return Ok(compared),
                },
                Some(_) | None => Uuid::nil(),
            };
            let next = self.compare_chunk(after, &mut compared).await?;
            cursor::set(db, CURSOR, &Position { night, after: next }.to_string()).await?;
        }
    }

    /// Compares some handles, and says after which to go on, if there are more.
    async fn compare_chunk(
        &self,
        mut after: Uuid,
        compared: &mut u64,
    ) -> Result<Option<Uuid>, EngineError> {
        let mut cases = Vec::new();
        let mut more = true;
        for _ in 0..CHUNK {
            let Some(handle) = self.next_with_earnings(after).await? else {
                more = false;
                break;
            };
            after = handle.0;
            *compared += 1;
            let differences = self.compare_earnings(handle).await?;
            if differences.is_empty() {
                self.close_cases(self.database.write(), handle).await?;
            }
            cases.extend(differences.iter().map(|difference| self.case(difference)));
        }
        if !cases.is_empty() {
            operator_case::open(self.database.write(), &cases).await?;
        }
        Ok(more.then_some(after))
    }

    /// What is known to differ no longer does.
    async fn close_cases(
        &self,
        db: &impl ConnectionTrait,
        handle: HandleId,
    ) -> Result<(), EngineError> {
        let kind: &'static str = CaseKind::EarningsDifference.into();
        let now = self.clock.local_millis();
        operator_case::close_settled(db, kind, &format!("{handle}:"), now).await?;
        Ok(())
    }

    fn case(&self, difference: &EarningsDifference) -> operator_case::OperatorCase {
        let kind: &'static str = CaseKind::EarningsDifference.into();
        let (handle, currency) = (difference.handle, &difference.found.currency);
        operator_case::OperatorCase {
            id: Uuid::now_v7(),
            kind: kind.to_owned(),
            key: format!("{handle}:{currency}"),
            run_id: None,
            detail: format!(
                "{difference}: the ledger is right; find out why, then `sluice recompute-earnings --repair`"
            ),
            status: "OPEN".to_owned(),
            created_at: self.clock.local_millis(),
        }
    }

    /// The next handle, in the order of their ids, that has earnings or sales.
    pub(crate) async fn next_with_earnings(
        &self,
        after: Uuid,
    ) -> Result<Option<HandleId>, EngineError> {
        let next = earnings_check::next_any_handle(self.database.read(), after).await?;
        Ok(next.map(HandleId))
    }

    /// What differs between a handle's rollup and its ledger, apart from what is queued.
    pub(crate) async fn compare_earnings(
        &self,
        handle: HandleId,
    ) -> Result<Vec<EarningsDifference>, EngineError> {
        let found = earnings_check::differences(self.database.read(), handle.0).await?;
        Ok(found.into_iter().map(|found| EarningsDifference { handle, found }).collect())
    }

    async fn rewrite_earnings(&self, handle: HandleId, by: &By) -> Result<(), EngineError> {
        let transaction = self.database.begin().await?;
        earnings_check::hold(&transaction, handle.0).await?;
        earnings_check::rewrite(&transaction, handle.0).await?;
        self.close_cases(&transaction, handle).await?;
        let target = handle.to_string();
        self.note(&transaction, by, "earnings.rewrite", Some(handle.0), target).await?;
        Ok(transaction.commit().await?)
    }
}

/// How far the comparison of a night is.
struct Position {
    /// Days since the epoch.
    night: i64,
    /// The last handle that was compared; none, if all are.
    after: Option<Uuid>,
}

impl Position {
    /// What was taken down. A text that is none begins anew.
    fn read(text: &str) -> Option<Self> {
        let (night, after) = text.split_once(':')?;
        let after = match after {
            "over" => None,
            after => Some(Uuid::try_parse(after).ok()?),
        };
        Some(Self { night: night.parse().ok()?, after })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            Some(after) => write!(f, "{}:{after}", self.night),
            None => write!(f, "{}:over", self.night),
        }
    }
}
