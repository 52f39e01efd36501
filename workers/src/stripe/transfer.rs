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
use stripe_types::Currency as StripeCurrency;
use workflows::{
    effect::{Answer, Failure, FeeReturn},
    id::CheckoutId,
    money::Money,
    stripe_event::{CHECKOUT, EFFECT},
};

use super::{
    StripePerformer,
    failure::{Keyed, trouble},
    keyed, made_since,
};

impl StripePerformer {
    pub(super) async fn reverse_transfer(
        &self,
        task: &Task,
        transfer: &str,
        amount: i64,
        fee: FeeReturn,
    ) -> Result<Answer, Trouble> {
        let mut request = CreateIdTransferReversal::new(transfer)
            .amount(amount)
            .metadata([(EFFECT.to_owned(), task.id.to_string())]);
        if fee == FeeReturn::Returned {
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
        account: &str,
        amount: Money,
        checkout: CheckoutId,
    ) -> Result<Answer, Trouble> {
        let code = amount.currency.code().to_ascii_lowercase();
        let currency: StripeCurrency = code.parse().map_err(|_| {
            let message = format!("{code} is no currency of Stripe's");
            Trouble::Permanent(Failure { code: "invalid_currency".to_owned(), message })
        })?;
        let metadata = HashMap::from([
            (EFFECT.to_owned(), task.id.to_string()),
            (CHECKOUT.to_owned(), checkout.to_string()),
        ]);
        let transfer = CreateTransfer::new(currency, account)
            .amount(amount.minor)
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
        account: &str,
    ) -> Result<Option<Answer>, Trouble> {
        let effect = task.id.to_string();
        let listed = ListTransfer::new().destination(account).created(made_since(task)).limit(100);
        let mut transfers = listed.paginate().stream(self.ready().await);
        while let Some(transfer) =
            transfers.try_next().await.map_err(|error| trouble(Keyed::No, error))?
        {
            if transfer.metadata.get(EFFECT) == Some(&effect) {
                let transfer = transfer.id.to_string();
                return Ok(Some(Answer::TransferCreated { transfer }));
            }
        }
        Ok(None)
    }
}
