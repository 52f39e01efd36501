//! The parts of an account object that are the same for all accounts, or follow from its kind.

use serde_json::{Value, json};

/// The currency of the country, for the countries that tests are likely to use.
pub(super) fn default_currency(country: &str) -> &'static str {
    match country {
        "AT" | "BE" | "CY" | "DE" | "EE" | "ES" | "FI" | "FR" | "GR" | "HR" | "IE" | "IT"
        | "LT" | "LU" | "LV" | "MT" | "NL" | "PT" | "SI" | "SK" => "eur",
        "AU" => "aud",
        "CA" => "cad",
        "CH" => "chf",
        "CZ" => "czk",
        "DK" => "dkk",
        "GB" => "gbp",
        "JP" => "jpy",
        "NO" => "nok",
        "PL" => "pln",
        "SE" => "sek",
        _ => "usd",
    }
}

pub(super) fn controller(kind: &str) -> Value {
    if kind == "standard" {
        return json!({ "type": "account" });
    }
    let dashboard = if kind == "express" { "express" } else { "none" };
    json!({
        "type": "application",
        "is_controller": true,
        "fees": { "payer": "application" },
        "losses": { "payments": "application" },
        "requirement_collection": if kind == "express" { "stripe" } else { "application" },
        "stripe_dashboard": { "type": dashboard },
    })
}

pub(super) fn no_requirements() -> Value {
    json!({
        "alternatives": [],
        "current_deadline": null,
        "currently_due": [],
        "disabled_reason": null,
        "errors": [],
        "eventually_due": [],
        "past_due": [],
        "pending_verification": [],
    })
}

pub(super) fn business_profile() -> Value {
    json!({
        "annual_revenue": null,
        "estimated_worker_count": null,
        "mcc": null,
        "minority_owned_business_designation": null,
        "name": null,
        "product_description": null,
        "support_address": null,
        "support_email": null,
        "support_phone": null,
        "support_url": null,
        "url": null,
    })
}

pub(super) fn settings() -> Value {
    json!({
        "bacs_debit_payments": { "display_name": null, "service_user_number": null },
        "branding": {
            "icon": null,
            "logo": null,
            "primary_color": null,
            "secondary_color": null,
        },
        "card_issuing": { "tos_acceptance": { "date": null, "ip": null } },
        "card_payments": {
            "decline_on": { "avs_failure": false, "cvc_failure": false },
            "statement_descriptor_prefix": null,
            "statement_descriptor_prefix_kana": null,
            "statement_descriptor_prefix_kanji": null,
        },
        "dashboard": { "display_name": null, "timezone": "Etc/UTC" },
        "invoices": { "default_account_tax_ids": null, "hosted_payment_method_save": null },
        "payments": {
            "statement_descriptor": null,
            "statement_descriptor_kana": null,
            "statement_descriptor_kanji": null,
            "statement_descriptor_prefix_kana": null,
            "statement_descriptor_prefix_kanji": null,
        },
        "payouts": {
            "debit_negative_balances": true,
            "schedule": { "delay_days": 2, "interval": "daily" },
            "statement_descriptor": null,
        },
        "sepa_debit_payments": {},
    })
}
