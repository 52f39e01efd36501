//! Debts of creators that the platform gives up: decided by a person, posted once, in the audit log.

use entities::{handle, ledger as postings, together::Together};
use uuid::Uuid;
use workflows::{Timestamp, id::HandleId, ledger, money::Money};

use crate::{By, Engine, EngineError, records};

/// What became of the wish to give a debt up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrittenOff {
    /// It is given up.
    Done,
    /// The creator owes less, in minor units.
    OwesLess(i64),
    /// There is no such handle.
    UnknownHandle,
}

impl Engine {
    /// Gives up a debt of a creator's, or a part of it. Of two at once the second sees what the first left.
    pub async fn write_off(
        &self,
        handle: HandleId,
        debt: Money,
        by: &By,
    ) -> Result<WrittenOff, EngineError> {
        let transaction = self.database.begin().await?;
        if !handle::hold(&transaction, handle.0).await? {
            return Ok(WrittenOff::UnknownHandle);
        }
        let currency = debt.currency.to_string();
        let owed = postings::debt_of_creator(&transaction, handle.0, &currency).await?;
        if !(1..=owed).contains(&debt.minor) {
            return Ok(WrittenOff::OwesLess(owed.max(0)));
        }
        let key = Uuid::now_v7().simple().to_string();
        let posting = ledger::written_off(handle, debt, &key);
        let at = Timestamp::from_millis(self.clock.local_millis());
        let mut together = Together::new(self.database.dialect());
        records::post(&transaction, &mut together, &[(at, posting)]).await?;
        together.execute(&transaction).await?;
        self.note(&transaction, by, "debt.write_off", Some(handle.0), debt.to_string()).await?;
        transaction.commit().await?;
        Ok(WrittenOff::Done)
    }
}
