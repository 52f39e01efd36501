//! Transfers: taken back from a creator for a dispute, and passed on again when it was for nothing.
//! <https://docs.stripe.com/connect/separate-charges-and-transfers>

use std::collections::HashMap;

use engine::{Task, Trouble};
use futures::TryStreamExt;
use stripe::StripeRequest;
use stripe_connect::{
    transfer::{CreateTransfer, ListTransfer},
    transfer_reversal::{CreateIdTransferReversal, ListIdTransferReversal},
};
use stripe_shared::{Transfer, TransferReversal};
use stripe_types::{Currency as StripeCurrency, Expandable};
use workflows::{
    effect::{Answer, Failure, FeeReturn},
    id::CheckoutId,
    money::{Currency, Money},
    stripe as facts,
    stripe_event::{CHECKOUT, EFFECT},
};

use super::{
    StripePerformer,
    failure::{Keyed, trouble},
    keyed,
};

/// In the metadata of what moves a creator's part: the refund or the dispute that it is for.
const CAUSE: &str = "sluice_cause";
const PAGE: i64 = 100;

/// What is taken back.
pub(super) struct Reversed<'a> {
    pub transfer: &'a str,
    pub amount: i64,
    pub fee: FeeReturn,
    pub cause: &'a str,
}

/// What is passed on again.
pub(super) struct PassedOn<'a> {
    pub account: &'a str,
    pub amount: Money,
    pub cause: &'a str,
    pub checkout: CheckoutId,
    pub group: &'a str,
}

impl StripePerformer {
    pub(super) async fn reverse_transfer(
        &self,
        task: &Task,
        wanted: Reversed<'_>,
    ) -> Result<Answer, Trouble> {
        let metadata = HashMap::from([
            (EFFECT.to_owned(), task.id.to_string()),
            (CAUSE.to_owned(), wanted.cause.to_owned()),
        ]);
        let mut request =
            CreateIdTransferReversal::new(wanted.transfer).amount(wanted.amount).metadata(metadata);
        if wanted.fee == FeeReturn::Returned {
            request = request.refund_application_fee(true);
        }
        let reversal = request
            .customize()
            .request_strategy(keyed(task)?)
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::Yes, error))?;
        Ok(Answer::TransferReversed { reversal: reversal.id.to_string() })
    }

    /// The reversal that an earlier try of this task made.
    pub(super) async fn find_reversal(
        &self,
        task: &Task,
        transfer: &str,
    ) -> Result<Option<Answer>, Trouble> {
        let effect = task.id.to_string();
        let listed = ListIdTransferReversal::new(transfer).limit(100);
        let mut reversals = listed.paginate().stream(self.ready().await);
        while let Some(reversal) =
            reversals.try_next().await.map_err(|error| trouble(Keyed::No, error))?
        {
            if reversal.metadata.as_ref().and_then(|metadata| metadata.get(EFFECT)) == Some(&effect)
            {
                let reversal = reversal.id.to_string();
                return Ok(Some(Answer::TransferReversed { reversal }));
            }
        }
        Ok(None)
    }

    pub(super) async fn create_transfer(
        &self,
        task: &Task,
        wanted: PassedOn<'_>,
    ) -> Result<Answer, Trouble> {
        let code = wanted.amount.currency.code().to_ascii_lowercase();
        let currency: StripeCurrency = code.parse().map_err(|_| {
            let message = format!("{code} is no currency of Stripe's");
            Trouble::Permanent(Failure { code: "invalid_currency".to_owned(), message })
        })?;
        let metadata = HashMap::from([
            (EFFECT.to_owned(), task.id.to_string()),
            (CHECKOUT.to_owned(), wanted.checkout.to_string()),
            (CAUSE.to_owned(), wanted.cause.to_owned()),
        ]);
        let transfer = CreateTransfer::new(currency, wanted.account)
            .amount(wanted.amount.minor)
            .transfer_group(wanted.group)
            .metadata(metadata)
            .customize()
            .request_strategy(keyed(task)?)
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::Yes, error))?;
        Ok(Answer::TransferCreated { transfer: transfer.id.to_string() })
    }

    /// The transfer that an earlier try of this task made.
    pub(super) async fn find_transfer(
        &self,
        task: &Task,
        group: &str,
    ) -> Result<Option<Answer>, Trouble> {
        let effect = task.id.to_string();
        let mut made = self.transfers_of(group).await?.into_iter();
        let made = made.find(|transfer| transfer.metadata.get(EFFECT) == Some(&effect));
        Ok(made.map(|transfer| Answer::TransferCreated { transfer: transfer.id.to_string() }))
    }

    /// The transfers of a group, the oldest first.
    pub(super) async fn transfers_of(&self, group: &str) -> Result<Vec<Transfer>, Trouble> {
        let listed = ListTransfer::new().transfer_group(group).limit(PAGE).paginate();
        let transfers = listed.stream(self.ready().await).try_collect::<Vec<_>>().await;
        Ok(oldest_first(transfers.map_err(|error| trouble(Keyed::No, error))?, |one| one.created))
    }

    /// A transfer with all that came back of it: Stripe shows the last ten with the transfer.
    pub(super) async fn transfer_facts(
        &self,
        transfer: &Transfer,
    ) -> Result<facts::Transfer, Trouble> {
        let mut reversals = transfer.reversals.data.clone();
        if transfer.reversals.has_more {
            let listed = ListIdTransferReversal::new(transfer.id.clone()).limit(PAGE).paginate();
            let all = listed.stream(self.ready().await).try_collect().await;
            reversals = all.map_err(|error| trouble(Keyed::No, error))?;
        }
        let reversals = oldest_first(reversals, |one| one.created);
        let currency = transfer.currency.to_string();
        Ok(facts::Transfer {
            id: transfer.id.to_string(),
            amount: transfer.amount,
            currency: Currency::parse(&currency).map_err(|_| {
                let message = format!("{} is in {currency}, which is not known", transfer.id);
                Trouble::Permanent(Failure { code: "unreadable_payment".to_owned(), message })
            })?,
            cause: transfer.metadata.get(CAUSE).cloned(),
            reversals: reversals.iter().map(reversal_facts).collect(),
        })
    }
}

/// Stripe lists the newest first, also those of the same second.
pub(super) fn oldest_first<T>(mut listed: Vec<T>, created: impl Fn(&T) -> i64) -> Vec<T> {
    listed.reverse();
    listed.sort_by_key(created);
    listed
}

/// What comes back with a refund names it, what Sluice asks for says why.
fn reversal_facts(reversal: &TransferReversal) -> facts::TransferReversal {
    let refund = reversal.source_refund.as_ref().map(|refund| match refund {
        Expandable::Id(id) => id.to_string(),
        Expandable::Object(refund) => refund.id.to_string(),
    });
    let said = reversal.metadata.as_ref().and_then(|metadata| metadata.get(CAUSE)).cloned();
    facts::TransferReversal {
        id: reversal.id.to_string(),
        amount: reversal.amount,
        cause: refund.or(said),
    }
}
