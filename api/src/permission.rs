//! What may be done on a handle, and by whom: the one table that roles, scopes and the documentation follow.

use poem_openapi::Enum;
use serde::Deserialize;

/// What somebody is on a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything. A handle always has one.
    Owner,
    /// Makes what is sold, and sees what it earns.
    Creator,
    /// Looks after what is sold, without seeing what it earns.
    Operator,
}

impl Role {
    /// All of them, the mightiest first.
    pub const ALL: &'static [Self] = &[Self::Owner, Self::Creator, Self::Operator];

    /// As the API and the database write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Creator => "creator",
            Self::Operator => "operator",
        }
    }

    /// The role of a name. A newer release's role is none here: it opens nothing.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.name() == name)
    }
}

macro_rules! permissions {
    ($($name:ident, $scope:tt, [$($role:ident),*], $what:literal;)*) => {
        /// Something that may be done. Each is a scope that an access token can have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Deserialize)]
        #[oai(rename = "Scope")]
        pub enum Permission {
            $(#[doc = $what] #[oai(rename = $scope)] #[serde(rename = $scope)] $name,)*
        }

        impl Permission {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The scope's name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $scope,)* }
            }

            /// The roles of a handle that have it.
            pub fn roles(self) -> &'static [Role] {
                match self { $(Self::$name => &[$(Role::$role),*],)* }
            }

            /// What it opens.
            pub fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)* }
            }
        }
    };
}

permissions! {
    HandlesRead, "handles:read", [Owner, Creator, Operator], "Read the handle";
    HandlesWrite, "handles:write", [Owner], "Make handles, which the caller then owns";
    PagesRead, "pages:read", [Owner, Creator, Operator], "Read pages, also drafts";
    PagesWrite, "pages:write", [Owner, Creator, Operator], "Make, change, publish and unpublish pages";
    GroupBuysRead, "group-buys:read", [Owner, Creator, Operator], "Read group buys and offers, also drafts";
    GroupBuysWrite, "group-buys:write", [Owner, Creator, Operator], "Make, publish and call off group buys, and link offers";
    ConnectRead, "connect:read", [Owner, Creator, Operator], "See where the connected account stands";
    ConnectWrite, "connect:write", [Owner], "Onboard the connected account";
    EarningsRead, "earnings:read", [Owner, Creator], "See what the handle has earned";
    SalesRead, "sales:read", [Owner, Creator], "See purchases, refunds and disputes, and who bought";
    RefundsWrite, "refunds:write", [Owner], "Give buyers their money back";
    RunsRead, "runs:read", [Owner, Creator, Operator], "Follow the runs of the handle";
    MembersRead, "members:read", [Owner], "See who may act on the handle";
    MembersWrite, "members:write", [Owner], "Let members in and take them out";
    BillingRead, "billing:read", [Owner], "See the handle's plan and its bills";
    BillingWrite, "billing:write", [Owner], "Choose and pay the handle's plan";
    AuditRead, "audit:read", [Owner], "Read what was done to the handle, and by whom";
}

impl Permission {
    /// The permission of a scope's name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|permission| permission.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What roles may never have (design: "not connect, not refunds"), whatever the table comes to say.
    #[test]
    fn what_is_the_owners_stays_the_owners() {
        for permission in Permission::ALL {
            let name = permission.name();
            assert!(permission.roles().contains(&Role::Owner), "{name}");
            assert_eq!(Permission::of(name), Some(*permission));
            let owners = ["connect:write", "refunds:write", "members:", "billing:", "audit:"];
            if owners.iter().any(|start| name.starts_with(start)) {
                assert_eq!(permission.roles(), [Role::Owner], "{name}");
            }
        }
        for role in Role::ALL {
            assert_eq!(Role::of(role.name()), Some(*role));
        }
    }
}
