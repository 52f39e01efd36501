//! The invariants, as checks over a database.

use entities::{
    entitlement, group_buy_activation, inbox, interest, ledger, outbox, rollup_queue, run,
};
use uuid::Uuid;
use workflows::{
    id::{GroupBuyId, RunId},
    workflow::Standing,
};

use crate::{Engine, EngineError, group_buy};

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// Every accepted message ends DONE, IGNORED or DEAD; every ACTIVE run waits for something named.
    I1,
    /// One settlement for each payment, one answer for each effect.
    I2,
    /// History is gapless, and folding it gives the stored state.
    I4,
    /// Every ledger transaction sums to zero.
    I5,
    /// Access equals what was paid or granted, and not given back.
    I6,
    /// The earnings of the rollup equal those of the ledger, figure by figure.
    I7,
    /// A group buy's count is the sum of its active interests, it is activated if that reached its target, and
    /// the list of an activation's interests is what was counted, and hashed.
    I10,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which invariant.
    pub invariant: Invariant,
    /// What is wrong, and where.
    pub what: String,
}

impl Engine {
    /// Checks every invariant. Most hold at any moment; I1 and I7 once the queues are empty.
    pub async fn check(&self) -> Result<Vec<Finding>, EngineError> {
        let mut findings = Vec::new();
        self.check_messages(&mut findings).await?;
        self.check_runs(&mut findings).await?;
        self.check_settlements(&mut findings).await?;
        self.check_histories(&mut findings).await?;
        self.check_ledger(&mut findings).await?;
        self.check_access(&mut findings).await?;
        self.check_earnings(&mut findings).await?;
        self.check_group_buys(&mut findings).await?;
        Ok(findings)
    }

    async fn check_messages(&self, findings: &mut Vec<Finding>) -> Result<(), EngineError> {
        let db = self.database.read();
        for count in inbox::count_unfinished_any_handle(db).await? {
            let what =
                format!("{} messages from {} are {}", count.number, count.source, count.status);
            findings.push(Finding { invariant: Invariant::I1, what });
        }
        for count in outbox::count_unfinished_any_handle(db).await? {
            let what = format!("{} effects {} are {}", count.number, count.kind, count.status);
            findings.push(Finding { invariant: Invariant::I1, what });
        }
        Ok(())
    }

    async fn check_runs(&self, findings: &mut Vec<Finding>) -> Result<(), EngineError> {
        let mut after = Uuid::nil();
        loop {
            let runs = run::scan_any_handle(self.database.read(), after, 500).await?;
            let Some(last) = runs.last() else { return Ok(()) };
            after = last.id;
            for run in runs.iter().filter(|run| run.status == "ACTIVE") {
                let standing = self.registry.find(&run.workflow).map(|machine| {
                    machine.standing(run.machine_version.unsigned_abs(), &run.state)
                });
                let what = match standing {
                    Some(Ok(Standing::Waiting(_))) => continue,
                    Some(Ok(_)) => format!("{} is ACTIVE and waits for nothing", RunId(run.id)),
                    Some(Err(error)) => format!("{}: {error}", RunId(run.id)),
                    None => format!("{} is of an unknown machine {}", RunId(run.id), run.workflow),
                };
                findings.push(Finding { invariant: Invariant::I1, what });
            }
        }
    }

    async fn check_settlements(&self, findings: &mut Vec<Finding>) -> Result<(), EngineError> {
        for row in ledger::unsettled_or_doubly_settled_any_handle(self.database.read()).await? {
            let checkout = workflows::id::CheckoutId(row.checkout_id);
            let what =
                format!("{checkout} is {} with {} payments posted", row.status, row.payments);
            findings.push(Finding { invariant: Invariant::I2, what });
        }
        Ok(())
    }

    async fn check_histories(&self, findings: &mut Vec<Finding>) -> Result<(), EngineError> {
        for difference in self.replay().await?.differences {
            let what = format!("{} line {}: {}", difference.run, difference.seq, difference.what);
            findings.push(Finding { invariant: Invariant::I4, what });
        }
        Ok(())
    }

    async fn check_ledger(&self, findings: &mut Vec<Finding>) -> Result<(), EngineError> {
        for key in ledger::unbalanced_any_handle(self.database.read()).await? {
            let what = format!("ledger transaction {key} does not sum to zero");
            findings.push(Finding { invariant: Invariant::I5, what });
        }
        Ok(())
    }

    async fn check_access(&self, findings: &mut Vec<Finding>) -> Result<(), EngineError> {
        for row in entitlement::contradictions_any_handle(self.database.read()).await? {
            let checkout = workflows::id::CheckoutId(row.checkout_id);
            let what = format!("the access of {checkout} disagrees with its state {}", row.status);
            findings.push(Finding { invariant: Invariant::I6, what });
        }
        Ok(())
    }

    async fn check_group_buys(&self, findings: &mut Vec<Finding>) -> Result<(), EngineError> {
        let db = self.database.read();
        for row in interest::miscounts_any_handle(db).await? {
            let group_buy = GroupBuyId(row.group_buy_id);
            let what = format!(
                "{group_buy} is {} and counts {} of {}, where its interests come to {} of {} visitors",
                row.status, row.kept, row.target, row.counted, row.interests
            );
            findings.push(Finding { invariant: Invariant::I10, what });
        }
        for id in group_buy_activation::unmatched_any_handle(db).await? {
            let what = format!("{} is activated without a record, or the reverse", GroupBuyId(id));
            findings.push(Finding { invariant: Invariant::I10, what });
        }
        let mut after = Uuid::nil();
        while let Some(record) = group_buy_activation::next_any_handle(db, after).await? {
            after = record.group_buy_id;
            let group_buy = GroupBuyId(after);
            let Some(listed) = group_buy::read(db, group_buy).await? else { continue };
            let counts = (listed.quantity, listed.interests);
            if counts != (record.quantity, record.interest_count)
                || record.quantity < record.target_quantity
            {
                let what = format!(
                    "{group_buy} was activated with {} of {} by {}, and its list comes to {} by {}",
                    record.quantity,
                    record.target_quantity,
                    record.interest_count,
                    listed.quantity,
                    listed.interests
                );
                findings.push(Finding { invariant: Invariant::I10, what });
            }
            if record.hash.is_some_and(|hash| hash != listed.hash) {
                let what = format!("the list of {group_buy} is not the one that was hashed");
                findings.push(Finding { invariant: Invariant::I10, what });
            }
        }
        Ok(())
    }

    async fn check_earnings(&self, findings: &mut Vec<Finding>) -> Result<(), EngineError> {
        let mut after = Uuid::nil();
        while let Some(handle) = self.next_with_earnings(after).await? {
            after = handle.0;
            for difference in self.compare_earnings(handle).await? {
                let what = difference.to_string();
                findings.push(Finding { invariant: Invariant::I7, what });
            }
            if rollup_queue::is_waiting(self.database.read(), handle.0).await? {
                let what = format!("{handle} has postings that are not in its earnings yet");
                findings.push(Finding { invariant: Invariant::I7, what });
            }
        }
        Ok(())
    }
}
