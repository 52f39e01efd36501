//! Currencies, the limits on amounts, and the processor's fee. All amounts are integers in the
//! minor unit of their currency: cents for EUR, yen for JPY, thousandths of a dinar for KWD.

use crate::error::ApiError;

/// Currencies that Stripe presents prices in (<https://docs.stripe.com/currencies>).
const CURRENCIES: &str = "\
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn \
    bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd \
    gnf gtq gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak \
    lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd \
    omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std \
    szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar \
    zmw";

/// Amounts in these are whole units
/// (<https://docs.stripe.com/currencies#zero-decimal>).
const ZERO_DECIMAL: &str = "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf";

/// Amounts in these are thousandths, and the last digit must be 0
/// (<https://docs.stripe.com/currencies#three-decimal>).
const THREE_DECIMAL: &str = "bhd jod kwd omr tnd";

/// The least that can be charged
/// (<https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>).
const MINIMUMS: &[(&str, i64)] = &[
    ("aed", 200),
    ("aud", 50),
    ("bgn", 100),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("czk", 1_500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17_500),
    ("inr", 50),
    ("jpy", 50),
    ("mxn", 1_000),
    ("myr", 200),
    ("nok", 300),
    ("nzd", 50),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1_000),
    ("usd", 50),
];

/// The most that can be charged, in any currency: eight digits.
const MAXIMUM: i64 = 99_999_999;

/// A currency that Stripe knows, in lower case.
pub(crate) fn currency(name: &str, param: &str) -> Result<String, ApiError> {
    let lower = name.to_ascii_lowercase();
    let known = lower.len() == 3 && CURRENCIES.split_ascii_whitespace().any(|c| c == lower);
    if known {
        return Ok(lower);
    }
    Err(ApiError::invalid(param, format!("Invalid currency: {lower}. Stripe does not support it.")))
}

/// Refuses an amount that cannot be charged in a currency.
pub(crate) fn check_charge(amount: i64, currency: &str, param: &str) -> Result<(), ApiError> {
    let minimum =
        MINIMUMS.iter().find(|(known, _)| *known == currency).map_or(1, |(_, minimum)| *minimum);
    if amount < minimum {
        let message =
            format!("The total amount due must add up to at least {}.", display(minimum, currency));
        return Err(ApiError::invalid(param, message).with_code("amount_too_small"));
    }
    if amount > MAXIMUM {
        let message =
            format!("The total amount due must be no more than {}.", display(MAXIMUM, currency));
        return Err(ApiError::invalid(param, message).with_code("amount_too_large"));
    }
    check_last_digit(amount, currency, param)
}

/// Refuses an amount in a three-decimal currency whose last digit is not 0.
pub(crate) fn check_last_digit(amount: i64, currency: &str, param: &str) -> Result<(), ApiError> {
    if amount % 10 == 0 || decimals(currency) != 3 {
        return Ok(());
    }
    let message = format!(
        "Invalid amount: {amount}. Amounts in {currency} must be rounded to the nearest ten, so \
         that the last digit is 0."
    );
    Err(ApiError::invalid(param, message))
}

/// What the processor keeps of a charge: 2.9 % and 30 minor units, rounded half up. Stripe's
/// published fee for cards, used for all currencies and methods.
pub(crate) fn processor_fee(amount: i64) -> i64 {
    round_share(29, amount, 1_000) + 30
}

/// So many whole units of a currency, in its minor units.
pub(crate) fn whole_units(units: i64, currency: &str) -> i64 {
    units * 10_i64.pow(decimals(currency))
}

/// The part of `total` that belongs to `part` of `whole`, rounded half up. Taking the difference of
/// two such shares, before and after, makes the parts add up to `total` exactly.
pub(crate) fn round_share(total: i64, part: i64, whole: i64) -> i64 {
    let (total, part, whole) = (i128::from(total), i128::from(part), i128::from(whole));
    let share = (2 * total * part + whole) / (2 * whole);
    i64::try_from(share).unwrap_or(i64::MAX)
}

/// An amount for people: `12.50 EUR`, `500 JPY`, `5.120 KWD`.
pub(crate) fn display(amount: i64, currency: &str) -> String {
    let code = currency.to_ascii_uppercase();
    let decimals = decimals(currency);
    if decimals == 0 {
        return format!("{amount} {code}");
    }
    let scale = 10_i64.pow(decimals);
    let sign = if amount < 0 { "-" } else { "" };
    let amount = amount.abs();
    format!("{sign}{}.{:0width$} {code}", amount / scale, amount % scale, width = decimals as usize)
}

fn decimals(currency: &str) -> u32 {
    let within = |list: &str| list.split_ascii_whitespace().any(|c| c == currency);
    if within(ZERO_DECIMAL) {
        0
    } else if within(THREE_DECIMAL) {
        3
    } else {
        2
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn the_fee_rounds_half_up() {
        for (amount, fee) in [(1000, 59), (50, 31), (1, 30), (17, 30), (18, 31), (9999, 320)] {
            assert_eq!(processor_fee(amount), fee, "fee of {amount}");
        }
    }

    #[test]
    fn amounts_are_shown_with_the_decimals_of_their_currency() {
        assert_eq!(display(1250, "eur"), "12.50 EUR");
        assert_eq!(display(-5, "usd"), "-0.05 USD");
        assert_eq!(display(500, "jpy"), "500 JPY");
        assert_eq!(display(5120, "kwd"), "5.120 KWD");
    }

    #[test]
    fn amounts_have_limits_and_three_decimal_ones_end_in_zero() {
        assert!(check_charge(50, "eur", "amount").is_ok());
        assert!(check_charge(49, "eur", "amount").is_err());
        assert!(check_charge(100_000_000, "jpy", "amount").is_err());
        assert!(check_charge(5_120, "kwd", "amount").is_ok());
        assert!(check_charge(5_124, "kwd", "amount").is_err());
    }
}
