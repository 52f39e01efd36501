//! Ids: a UUID of version 7 behind a prefix that says of what. They sort by the time they were made.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The text is not an id of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id that starts with {prefix:?}")]
pub struct NotAnId {
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub Uuid);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", Self::PREFIX, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.strip_prefix(Self::PREFIX)
                    // Only the form we write: 32 hexadecimal digits.
                    .filter(|rest| rest.len() == 32)
                    .and_then(|rest| Uuid::try_parse(rest).ok())
                    .map(Self)
                    .ok_or(NotAnId { prefix: Self::PREFIX })
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;
            fn try_from(text: String) -> Result<Self, NotAnId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

id!(/// A creator's handle.
    HandleId, "hndl_");
id!(/// A page of a handle.
    PageId, "page_");
id!(/// One purchase.
    CheckoutId, "co_");
id!(/// Somebody who reads, signs in and buys.
    VisitorId, "vis_");
id!(/// A signed-in browser of a visitor.
    SessionId, "sess_");
id!(/// One magic link.
    MagicLinkId, "link_");
id!(/// A wish for a link to Stripe's dashboard.
    LoginLinkId, "login_");
id!(/// A wish for a link to Stripe's onboarding form.
    OnboardingLinkId, "onb_");
id!(/// Money given back to a buyer.
    RefundId, "rfnd_");
id!(/// A payment that its buyer's bank took back, or tries to.
    DisputeId, "dispute_");
id!(/// Money on its way from Stripe to a bank.
    PayoutId, "payout_");
id!(/// A group buy.
    GroupBuyId, "gb_");
id!(/// What is sold of a page, and what must happen before.
    OfferId, "offer_");
id!(/// A request for a link to subscribe by, or to the billing portal.
    PlanLinkId, "plink_");
id!(/// One run of a workflow.
    RunId, "run_");
id!(/// One effect in the outbox.
    EffectId, "eff_");
id!(/// One personal access token.
    AccessTokenId, "tok_");
id!(/// One entry of the audit log.
    AuditEntryId, "aud_");

/// The id of wishes that were stored before they had ids.
impl Default for OnboardingLinkId {
    fn default() -> Self {
        Self(Uuid::nil())
    }
}

impl RefundId {
    /// The id of a refund of a purchase that nobody asked for by an id of its own: one that was made at Stripe
    /// (`re_…`), or one that gives back what was granted nothing, named by why. Always the same.
    pub fn of(checkout: CheckoutId, name: &str) -> Self {
        Self(mix(name, checkout.0))
    }
}

impl DisputeId {
    /// The id of a dispute of a purchase, `dp_…`. Always the same, so that nobody has to look it up.
    pub fn of(checkout: CheckoutId, dispute: &str) -> Self {
        Self(mix(dispute, checkout.0))
    }
}

impl PayoutId {
    /// The id of a payout of a handle's account, `po_…`. Always the same.
    pub fn of(handle: HandleId, payout: &str) -> Self {
        Self(mix(payout, handle.0))
    }
}

impl RunId {
    /// The run of a workflow about a subject (a checkout, a handle, a page).
    ///
    /// The address of a run is **computed, never looked up**: it is the subject's own id with the random
    /// bits mixed with the workflow's name. So whoever knows the subject can write to the run before it
    /// exists, there is one run for each subject and workflow, and run ids sort by time like their subjects.
    pub fn of(workflow: &str, subject: Uuid) -> Self {
        Self(mix(workflow, subject))
    }

    /// The subject that [`RunId::of`] was given.
    pub fn subject(self, workflow: &str) -> Uuid {
        mix(workflow, self.0)
    }
}

/// Mixes a name into the random bits of an id. Mixing is its own inverse. Version and variant bits stay as they are.
fn mix(name: &str, id: Uuid) -> Uuid {
    const RANDOM_BITS: u128 = (1 << 62) - 1;
    let digest = Sha256::digest(name.as_bytes());
    let mask = digest.iter().take(8).fold(0_u128, |mask, byte| mask << 8 | u128::from(*byte));
    Uuid::from_u128(id.as_u128() ^ (mask & RANDOM_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_leads_back_to_its_subject() {
        let subject = Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001);
        let run = RunId::of("checkout", subject);
        assert_ne!(run, RunId::of("refund", subject));
        assert_eq!(run.subject("checkout"), subject);
        assert_eq!(run.0.get_version_num(), 7);
    }

    #[test]
    fn only_the_form_we_write_is_read() {
        let id = PageId(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse::<PageId>(), Ok(id));
        assert!(format!("page_{}", id.0.hyphenated()).parse::<PageId>().is_err());
        assert!(id.to_string().replace("page_", "co_").parse::<PageId>().is_err());
    }
}
