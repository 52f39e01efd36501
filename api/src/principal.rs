//! Who a bearer token speaks for, and what the token itself lets them do.

use workflows::id::AccessTokenId;

use crate::{codes::Code, permission::Permission, problem::Problem};

/// A role on the whole installation. Only a JWT carries one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformRole {
    /// Runs the platform.
    Admin,
    /// Looks after its runs.
    Operator,
}

impl PlatformRole {
    fn of(name: &str) -> Option<Self> {
        match name {
            "platform_admin" => Some(Self::Admin),
            "platform_operator" => Some(Self::Operator),
            _ => None,
        }
    }
}

/// Who a bearer token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The JWT's `sub`, or that of whoever made the access token.
    pub subject: String,
    roles: Vec<PlatformRole>,
    grant: Option<Grant>,
}

/// What an access token lets its bearer do. It never lets them do more than its owner may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which token.
    pub token: AccessTokenId,
    /// What it may do.
    pub scopes: Vec<Permission>,
    /// The only handles it may touch, by name. `None`: all of its owner's.
    pub handles: Option<Vec<String>>,
}

impl Principal {
    /// Somebody who signed in: the bearer of a JWT. Roles that are not known here are none.
    pub fn signed_in(subject: String, roles: &[String]) -> Self {
        let roles = roles.iter().filter_map(|role| PlatformRole::of(role)).collect();
        Self { subject, roles, grant: None }
    }

    /// Something that acts for somebody: the bearer of an access token. It has no role of the platform's.
    pub fn with_grant(subject: String, grant: Grant) -> Self {
        Self { subject, roles: Vec::new(), grant: Some(grant) }
    }

    /// Whether this is somebody of the platform's, who may see every run.
    pub fn is_operator(&self) -> bool {
        !self.roles.is_empty()
    }

    /// Goes on only for somebody of the platform's.
    pub fn expect_operator(&self) -> Result<(), Problem> {
        match self.is_operator() {
            true => Ok(()),
            false => Err(forbidden("only platform operators may do this")),
        }
    }

    /// Goes on only for an administrator of the platform's.
    pub fn expect_admin(&self) -> Result<(), Problem> {
        match self.roles.contains(&PlatformRole::Admin) {
            true => Ok(()),
            false => Err(forbidden("only platform administrators may do this")),
        }
    }

    /// Goes on only for somebody who signed in: an access token must not make or take back tokens.
    pub fn expect_signed_in(&self) -> Result<(), Problem> {
        match self.grant {
            None => Ok(()),
            Some(_) => Err(forbidden("an access token may not do this: sign in")),
        }
    }

    /// Goes on only if the token reaches so far, wherever it is used.
    pub fn expect_scope(&self, permission: Permission) -> Result<(), Problem> {
        match &self.grant {
            Some(grant) if !grant.scopes.contains(&permission) => {
                Err(forbidden(format!("the access token has no scope {}", permission.name())))
            }
            _ => Ok(()),
        }
    }

    /// Goes on only if the token reaches so far on this handle.
    pub fn expect_scope_on(&self, permission: Permission, handle: &str) -> Result<(), Problem> {
        self.expect_scope(permission)?;
        match self.handles() {
            Some(handles) if !handles.iter().any(|name| name == handle) => {
                Err(forbidden(format!("the access token is not for {handle}")))
            }
            _ => Ok(()),
        }
    }

    /// Goes on only if the token reaches so far on handles that are not there yet.
    pub fn expect_scope_anywhere(&self, permission: Permission) -> Result<(), Problem> {
        self.expect_scope(permission)?;
        match self.handles() {
            Some(_) => Err(forbidden("the access token is for some handles only")),
            None => Ok(()),
        }
    }

    fn handles(&self) -> Option<&[String]> {
        self.grant.as_ref()?.handles.as_deref()
    }

    /// For the audit log: who, and by which access token if by one.
    pub fn actor(&self) -> String {
        match &self.grant {
            None => self.subject.clone(),
            Some(grant) => format!("{} by {}", self.subject, grant.token),
        }
    }
}

fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::new(Code::Forbidden, detail)
}

/// A subject as tokens and members have it: 1 to 255 bytes, without control characters.
pub fn check_subject(subject: &str) -> Result<(), &'static str> {
    let sane = (1..=255).contains(&subject.len()) && !subject.chars().any(char::is_control);
    if sane { Ok(()) } else { Err("must have 1 to 255 bytes and no control characters") }
}
