//! Connected accounts: made, linked to the onboarding form, read.

use engine::{Task, Trouble};
use futures::TryStreamExt;
use stripe::StripeRequest;
use stripe_connect::{
    account::{
        CreateAccount, CreateAccountCapabilities, CreateAccountCapabilitiesCardPayments,
        CreateAccountCapabilitiesTransfers, CreateAccountType, ListAccount, RetrieveAccount,
    },
    account_link::{CreateAccountLink, CreateAccountLinkType},
    login_link::CreateAccountLoginLink,
};
use stripe_shared::{Account, AccountCapabilitiesStatus, AccountRequirementsError};
use workflows::{
    Timestamp,
    connect_onboarding::ConnectOnboarding,
    effect::{Answer, LinkRequest, OnboardingUrls},
    id::HandleId,
    refresh_token, stripe as facts,
    stripe_event::{EFFECT, HANDLE},
    workflow::Workflow,
};

use super::{
    StripePerformer,
    failure::{Keyed, trouble},
    keyed, made_since,
};

impl StripePerformer {
    pub(super) async fn create_account(
        &self,
        task: &Task,
        handle: HandleId,
        country: Option<&str>,
    ) -> Result<Answer, Trouble> {
        let capabilities = CreateAccountCapabilities {
            card_payments: Some(CreateAccountCapabilitiesCardPayments { requested: Some(true) }),
            transfers: Some(CreateAccountCapabilitiesTransfers { requested: Some(true) }),
            ..CreateAccountCapabilities::new()
        };
        let mut request = CreateAccount::new()
            .type_(CreateAccountType::Express)
            .capabilities(capabilities)
            .metadata([
                (HANDLE.to_owned(), handle.to_string()),
                (EFFECT.to_owned(), task.id.to_string()),
            ]);
        if let Some(country) = country {
            request = request.country(country);
        }
        let account = request
            .customize()
            .request_strategy(keyed(task)?)
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::Yes, error))?;
        Ok(Answer::AccountCreated { account: account.id.to_string() })
    }

    /// The account that an earlier try of this task made.
    pub(super) async fn find_account(&self, task: &Task) -> Result<Option<Answer>, Trouble> {
        let effect = task.id.to_string();
        let listed = ListAccount::new().created(made_since(task)).limit(100);
        let mut accounts = listed.paginate().stream(self.ready().await);
        while let Some(account) =
            accounts.try_next().await.map_err(|error| trouble(Keyed::No, error))?
        {
            if account.metadata.as_ref().and_then(|metadata| metadata.get(EFFECT)) == Some(&effect)
            {
                return Ok(Some(Answer::AccountCreated { account: account.id.to_string() }));
            }
        }
        Ok(None)
    }

    /// Without a key: a link is single use, and a second one does no harm.
    pub(super) async fn create_account_link(
        &self,
        task: &Task,
        account: &str,
        request: &LinkRequest,
        urls: &OnboardingUrls,
    ) -> Result<Answer, Trouble> {
        let handle = HandleId(task.run.subject(ConnectOnboarding::NAME));
        let asked_at = request.proven_at.unwrap_or(task.asked_at);
        let token = refresh_token::mint(&self.keys, handle, &request.subject, asked_at);
        let proven = |url: &str| url.replace(refresh_token::PLACEHOLDER, &token);
        let link = CreateAccountLink::new(account, CreateAccountLinkType::AccountOnboarding)
            .return_url(proven(&urls.return_url))
            .refresh_url(proven(&urls.refresh_url))
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::No, error))?;
        let expires_at = Timestamp::from_secs(link.expires_at);
        Ok(Answer::AccountLinkCreated { url: link.url, expires_at })
    }

    /// Without a key: like the link to the form.
    pub(super) async fn create_login_link(&self, account: &str) -> Result<Answer, Trouble> {
        let link = CreateAccountLoginLink::new(account)
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::No, error))?;
        Ok(Answer::LoginLinkCreated { url: link.url })
    }

    pub(super) async fn retrieve_account(&self, account: &str) -> Result<Answer, Trouble> {
        let account = RetrieveAccount::new(account)
            .send(self.ready().await)
            .await
            .map_err(|error| trouble(Keyed::No, error))?;
        Ok(Answer::AccountRetrieved(facts(account)))
    }
}

/// The few facts that the machine decides on.
fn facts(account: Account) -> facts::Account {
    let capabilities = account.capabilities.as_ref();
    let transfers = capabilities.and_then(|capabilities| capabilities.transfers.as_ref());
    let cards = capabilities.and_then(|capabilities| capabilities.card_payments.as_ref());
    let named = [("card_payments", cards), ("transfers", transfers)]
        .into_iter()
        .filter_map(|(name, status)| Some((name.to_owned(), capability(status?))))
        .collect();
    let transfers_active = matches!(transfers, Some(AccountCapabilitiesStatus::Active));
    let requirements = account.requirements.map(|due| facts::Requirements {
        currently_due: due.currently_due.unwrap_or_default(),
        past_due: due.past_due.unwrap_or_default(),
        pending_verification: due.pending_verification.unwrap_or_default(),
        eventually_due: due.eventually_due.unwrap_or_default(),
        errors: due.errors.unwrap_or_default().into_iter().map(error).collect(),
        current_deadline: due.current_deadline.map(Timestamp::from_secs),
        disabled_reason: due.disabled_reason.map(|reason| reason.as_str().to_owned()),
    });
    facts::Account {
        id: account.id.to_string(),
        charges_enabled: account.charges_enabled.unwrap_or_default(),
        payouts_enabled: account.payouts_enabled.unwrap_or_default(),
        details_submitted: account.details_submitted.unwrap_or_default(),
        transfers_active,
        capabilities: named,
        requirements: requirements.unwrap_or_default(),
    }
}

fn capability(status: &AccountCapabilitiesStatus) -> facts::CapabilityStatus {
    match status {
        AccountCapabilitiesStatus::Active => facts::CapabilityStatus::Active,
        AccountCapabilitiesStatus::Pending => facts::CapabilityStatus::Pending,
        _ => facts::CapabilityStatus::Inactive,
    }
}

fn error(error: AccountRequirementsError) -> facts::RequirementError {
    facts::RequirementError {
        requirement: error.requirement,
        code: error.code.as_str().to_owned(),
        reason: error.reason,
    }
}
