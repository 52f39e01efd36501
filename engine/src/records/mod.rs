//! Writers of records: one for each kind. All records of a batch are gathered first, so that each kind is
//! written with one statement, in one fixed order of tables.

mod access;
mod checkout;
mod connect_account;
mod dispute;
mod grant;
mod ledger;
mod marker;
mod operator_case;
mod payout;
mod plan_subscription;
mod refund;
mod visitor_session;

use entities::{inbox, stripe_object, together::Together};
use sea_orm::ConnectionTrait;
use workflows::{
    Timestamp,
    id::{HandleId, RunId},
    ledger::Transaction,
    message::Message,
    record::{
        AccessUpdate, CheckoutUpdate, ConnectAccountUpdate, DisputeUpdate, Grant, GrantKind,
        LoginLink, MarkerUpdate, OperatorCase, PastConnectAccount, PayoutUpdate,
        PlanSubscriptionUpdate, Record, RefundUpdate, VisitorSession,
    },
};

use crate::{Engine, EngineError, send, step::Walked};

pub use ledger::write as post;

/// A batch's records by kind, each with the time of its step.
#[derive(Default)]
struct Gathered {
    ledger: Vec<(Timestamp, Transaction)>,
    grants: Vec<(Timestamp, Grant)>,
    accesses: Vec<(Timestamp, AccessUpdate)>,
    checkouts: Vec<(Timestamp, CheckoutUpdate)>,
    refunds: Vec<(Timestamp, RefundUpdate)>,
    disputes: Vec<(Timestamp, DisputeUpdate)>,
    connect_accounts: Vec<(Timestamp, ConnectAccountUpdate)>,
    past_connect_accounts: Vec<(Timestamp, PastConnectAccount)>,
    login_links: Vec<(Timestamp, LoginLink)>,
    plans: Vec<(Timestamp, PlanSubscriptionUpdate)>,
    payouts: Vec<(Timestamp, PayoutUpdate)>,
    stripe_objects: Vec<stripe_object::StripeObject>,
    markers: Vec<MarkerUpdate>,
    visitor_sessions: Vec<(Timestamp, VisitorSession)>,
    cases: Vec<(Timestamp, RunId, OperatorCase)>,
    sends: Vec<inbox::NewInbox>,
    /// Whose the run is whose records are added.
    handle: Option<HandleId>,
}

/// Writes the records of a batch, and says how many messages to runs are among them. What needs no answer from
/// the database is left to be written together with the rest of the batch.
pub async fn write(
    db: &impl ConnectionTrait,
    together: &mut Together,
    engine: &Engine,
    walked: &mut [Walked],
) -> Result<usize, EngineError> {
    let mut gathered = Gathered::default();
    for walked in walked {
        let Some(run) = walked.stepped.as_ref().map(|run| (RunId(run.id), run.version)) else {
            continue;
        };
        gathered.handle = walked.handle_id.map(HandleId);
        for (n, (at, record)) in std::mem::take(&mut walked.records).into_iter().enumerate() {
            gathered.add(run, n, at, record)?;
        }
    }
    gathered.write(db, together, engine).await
}

impl Gathered {
    fn add(
        &mut self,
        (run, version): (RunId, i64),
        n: usize,
        at: Timestamp,
        record: Record,
    ) -> Result<(), EngineError> {
        match record {
            Record::Ledger(transaction) => self.ledger.push((at, transaction)),
            Record::Grant(grant) => self.grants.push((at, grant)),
            // A place that another purchase has meanwhile is not taken from it: this one is paid once too often.
            Record::Access(AccessUpdate { page, visitor, checkout, kind: GrantKind::Paid }) => {
                // It was granted before: an interest that it needed then is not asked for again.
                let interests = Vec::new();
                let grant = Grant { page, visitor, checkout, kind: GrantKind::Paid, interests };
                self.grants.push((at, grant));
            }
            Record::Access(update) => self.accesses.push((at, update)),
            Record::Checkout(update) => self.checkouts.push((at, update)),
            Record::Refund(update) => self.refunds.push((at, *update)),
            Record::Dispute(update) => self.disputes.push((at, *update)),
            Record::ConnectAccount(update) => self.connect_accounts.push((at, *update)),
            Record::PastConnectAccount(past) => self.past_connect_accounts.push((at, past)),
            Record::LoginLink(link) => self.login_links.push((at, link)),
            Record::PlanSubscription(update) => self.plans.push((at, *update)),
            Record::Payout(update) => self.payouts.push((at, *update)),
            Record::StripeObject(id) => {
                self.stripe_objects.push(stripe_object::StripeObject { id, run_id: run.0 });
            }
            Record::Marker(update) => self.markers.push(update),
            Record::VisitorSession(session) => self.visitor_sessions.push((at, session)),
            Record::OperatorCase(case) => self.cases.push((at, run, case)),
            Record::Send(message) => self.send(format!("{run}:{version}:{n}"), &message)?,
        }
        Ok(())
    }

    fn send(&mut self, source_id: String, message: &Message) -> Result<(), EngineError> {
        self.sends.push(send::row("run", source_id, message, self.handle)?);
        Ok(())
    }

    async fn write(
        mut self,
        db: &impl ConnectionTrait,
        together: &mut Together,
        engine: &Engine,
    ) -> Result<usize, EngineError> {
        ledger::write(db, together, &self.ledger).await?;
        for (loser, lost) in grant::write(db, &self.grants).await? {
            let message = Message::Checkout(loser, lost);
            self.sends.push(send::row("entitlement", loser.to_string(), &message, None)?);
        }
        access::write(together, &self.accesses);
        checkout::write(together, &self.checkouts);
        refund::write(db, &self.refunds).await?;
        dispute::write(db, &self.disputes).await?;
        connect_account::write(db, &self.connect_accounts).await?;
        connect_account::write_past(db, &self.past_connect_accounts).await?;
        connect_account::write_login_links(db, &self.login_links).await?;
        plan_subscription::write(db, &self.plans).await?;
        payout::write(db, &self.payouts).await?;
        if !self.stripe_objects.is_empty() {
            self.stripe_objects.sort_unstable_by(|a, b| a.id.cmp(&b.id));
            stripe_object::insert(together, &self.stripe_objects);
        }
        marker::write(db, &self.markers).await?;
        visitor_session::write(db, &self.visitor_sessions).await?;
        operator_case::write(db, &self.cases).await?;
        if !self.sends.is_empty() {
            inbox::insert(db, &engine.clock, &self.sends).await?;
        }
        Ok(self.sends.len())
    }
}
