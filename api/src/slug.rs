//! Slugs and handles: the parts of addresses that creators choose.

/// The longest slug.
const LONGEST_SLUG: usize = 64;
/// The lengths of a handle.
const HANDLE: std::ops::RangeInclusive<usize> = 3..=40;

/// Handles that would be taken for something of the platform's.
const RESERVED: &[&str] = &[
    "about",
    "account",
    "admin",
    "api",
    "app",
    "assets",
    "auth",
    "billing",
    "blog",
    "console",
    "contact",
    "dashboard",
    "docs",
    "healthz",
    "help",
    "legal",
    "login",
    "logout",
    "mail",
    "metrics",
    "null",
    "openapi",
    "operator",
    "platform",
    "platform-admin",
    "pricing",
    "privacy",
    "public",
    "readyz",
    "root",
    "security",
    "settings",
    "signin",
    "signup",
    "sluice",
    "static",
    "status",
    "stripe",
    "support",
    "system",
    "terms",
    "undefined",
    "v1",
    "v2",
    "visitor",
    "webhook",
    "webhooks",
    "www",
];

/// `^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$`
pub fn check_slug(slug: &str) -> Result<(), &'static str> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = slug.as_bytes();
    let ends_well = bytes.first().is_some_and(|byte| good(*byte))
        && bytes.last().is_some_and(|byte| good(*byte));
    let inner = bytes.iter().all(|byte| good(*byte) || *byte == b'-');
    match ends_well && inner && slug.len() <= LONGEST_SLUG {
        true => Ok(()),
        false => Err(
            "must be 1 to 64 lower-case letters, digits and hyphens, with no hyphen at either end",
        ),
    }
}

/// A slug of 3 to 40 characters that is not reserved.
pub fn check_handle(handle: &str) -> Result<(), &'static str> {
    check_slug(handle)?;
    if !HANDLE.contains(&handle.len()) {
        return Err("must have 3 to 40 characters");
    }
    match RESERVED.contains(&handle) {
        true => Err("is reserved"),
        false => Ok(()),
    }
}

/// Text of one line for people, so many characters at most.
pub fn check_line(text: &str, longest: usize) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > longest {
        return Err(format!("must have 1 to {longest} characters"));
    }
    match text.chars().any(char::is_control) {
        true => Err("must not hold control characters".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// Text for people, so many bytes at most.
pub fn check_text(text: &str, longest: usize) -> Result<(), String> {
    match text.len() <= longest {
        true => Ok(()),
        false => Err(format!("must have at most {longest} bytes")),
    }
}

/// A mail address, lower case. Only what certainly is none is refused: the mail decides.
pub fn check_email(email: &str) -> Result<String, &'static str> {
    const NOT: &str = "is not a mail address";
    let email = email.trim().to_lowercase();
    let (local, domain) = email.rsplit_once('@').ok_or(NOT)?;
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"<>()[],;:\\\"@".contains(c);
    let labels = domain
        .split('.')
        .all(|label| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-'));
    let good = (1..=64).contains(&local.len())
        && email.len() <= 254
        && local.chars().all(plain)
        && labels
        && domain.contains('.');
    if good { Ok(email) } else { Err(NOT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_handles_and_addresses() {
        for good in ["a", "7", "a-b", "spring-2026", &"a".repeat(64)] {
            assert!(check_slug(good).is_ok(), "{good}");
        }
        for bad in ["", "-", "-a", "a-", "A", "a/b", "a b", "ä", "a_b", "a.b", &"a".repeat(65)] {
            assert!(check_slug(bad).is_err(), "{bad}");
        }
        for bad in ["ab", "admin", "v2", &"a".repeat(41)] {
            assert!(check_handle(bad).is_err(), "{bad}");
        }
        for good in ["a@b.co", " A.B+c@Example.COM ", "ü@exämple.de"] {
            assert!(check_email(good).is_ok(), "{good}");
        }
        for bad in
            ["", "a", "@b.co", "a@", "a@b", "a b@c.de", "a@b..c", "a@b.c\r\nBcc: x@y.z", "a@b@c.de"]
        {
            assert!(check_email(bad).is_err(), "{bad}");
        }
    }
}
