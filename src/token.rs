//! `token`: bearer tokens for development.

use clap::Args;
use secrecy::ExposeSecret;

use crate::{Fatal, settings::Settings};

/// Whose token, and for how long.
#[derive(Args)]
pub struct Wish {
    /// Whose: the `sub`.
    #[arg(long)]
    sub: String,
    /// A platform role: `platform_admin` or `platform_operator`. May be given more than once.
    #[arg(long)]
    role: Vec<String>,
    /// For how long it is good, in seconds.
    #[arg(long, default_value_t = 86_400)]
    seconds: u64,
}

pub fn run(settings: &Settings, wish: &Wish) -> Result<(), Fatal> {
    if settings.is_live() {
        return Err(
            "STRIPE_SECRET_KEY is a live key: tokens come from your identity provider".into()
        );
    }
    println!("{}", mint(settings, &wish.sub, &wish.role, wish.seconds)?.expose_secret());
    Ok(())
}

/// A token signed with the newest secret.
pub fn mint(
    settings: &Settings,
    sub: &str,
    roles: &[String],
    seconds: u64,
) -> Result<secrecy::SecretString, Fatal> {
    let jwt = api::JwtConfig {
        secrets: settings.jwt_secrets()?,
        jwks: None,
        issuer: settings.jwt_issuer()?,
        audience: settings.jwt_audience()?,
    };
    let now = entities::statement::Clock::default().local_millis() / 1_000;
    let expires_at = now.saturating_add_unsigned(seconds);
    Ok(api::mint_token(&jwt, sub, roles, expires_at)?.into())
}
