//! Money: whole minor units with a currency, and the one place where anything is rounded.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The largest single amount that Stripe takes: eight digits of minor units.
/// <https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>
pub const MAXIMUM_CHARGE: i64 = 99_999_999;

/// Currencies in which one unit is the smallest (Stripe's zero-decimal list).
/// <https://docs.stripe.com/currencies#zero-decimal>
const ZERO_DECIMAL: &[&str] = &[
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
    "XOF", "XPF",
];

/// Currencies with a thousand minor units. Stripe wants their last digit to be zero.
/// <https://docs.stripe.com/currencies#three-decimal>
const THREE_DECIMAL: &[&str] = &["BHD", "JOD", "KWD", "OMR", "TND"];

/// The other currencies that Stripe can charge in, all with a hundred minor units.
const TWO_DECIMAL: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT",
    "BGN", "BMD", "BND", "BOB", "BRL", "BSD", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CNY",
    "COP", "CRC", "CVE", "CZK", "DKK", "DOP", "DZD", "EGP", "ETB", "EUR", "FJD", "FKP", "GBP",
    "GEL", "GIP", "GMD", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "ISK",
    "JMD", "KES", "KGS", "KHR", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "MAD", "MDL",
    "MKD", "MMK", "MNT", "MOP", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO",
    "NOK", "NPR", "NZD", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "RUB",
    "SAR", "SBD", "SCR", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "STD", "SZL", "THB", "TJS",
    "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "WST", "XCD", "YER",
    "ZAR", "ZMW",
];

/// Currencies without a minor unit of their own that Stripe takes with two decimals all the same, which must
/// be zero: 5 UGX are 500. <https://docs.stripe.com/currencies#special-cases>
const WHOLE_UNITS: &[&str] = &["ISK", "UGX"];

/// An ISO 4217 currency that Stripe can charge in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// The text is not the code of a currency that can be charged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown currency {0:?}: an ISO 4217 code that Stripe can charge, such as USD, is needed")]
pub struct UnknownCurrency(String);

impl Currency {
    /// The default of the API.
    pub const USD: Currency = Currency(*b"USD");

    /// The currency of a three-letter code, in either case (Stripe writes lower case).
    pub fn parse(code: &str) -> Result<Self, UnknownCurrency> {
        let unknown = || UnknownCurrency(code.chars().take(16).collect());
        let letters: [u8; 3] =
            code.to_ascii_uppercase().as_bytes().try_into().map_err(|_| unknown())?;
        let known = Self(letters);
        let listed = [TWO_DECIMAL, ZERO_DECIMAL, THREE_DECIMAL]
            .iter()
            .any(|list| list.contains(&known.code()));
        if listed { Ok(known) } else { Err(unknown()) }
    }

    /// The upper-case code, as ISO 4217 and the API write it.
    pub fn code(&self) -> &str {
        // Only listed codes are ever made, except in the middle of `parse`, which rejects what is not text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits after the point: 0, 2 or 3.
    pub fn decimals(self) -> usize {
        if ZERO_DECIMAL.contains(&self.code()) {
            0
        } else if THREE_DECIMAL.contains(&self.code()) {
            3
        } else {
            2
        }
    }

    /// The least that Stripe charges, in minor units. For currencies without a documented minimum, that of
    /// a US dollar's 50 cents in the currency's own minor unit.
    /// <https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>
    pub fn minimum_charge(self) -> i64 {
        match self.code() {
            "GBP" => 30,
            "AED" | "MYR" | "PLN" | "RON" => 200,
            "BGN" => 100,
            "CZK" => 1_500,
            "DKK" => 250,
            "HKD" => 400,
            "HUF" => 17_500,
            "MXN" | "THB" => 1_000,
            "ISK" | "UGX" => 100,
            "NOK" | "SEK" => 300,
            _ => match self.decimals() {
                0 => 50,
                3 => 500,
                _ => 50,
            },
        }
    }

    /// What a single charge of `minor` units in this currency would be refused for, if anything.
    pub fn charge_problem(self, minor: i64) -> Option<String> {
        let least = self.minimum_charge();
        if minor < least {
            return Some(format!("the least that can be charged is {}", Money::new(least, self)));
        }
        if minor > MAXIMUM_CHARGE {
            return Some(format!(
                "the most that can be charged is {}",
                Money::new(MAXIMUM_CHARGE, self)
            ));
        }
        let step = self.step();
        (minor % step != 0).then(|| format!("amounts in {self} must be multiples of {step}"))
    }

    /// What is wrong with giving `minor` units in this currency back, if anything: a part may be small, but must
    /// be something that can be paid.
    pub fn refund_problem(self, minor: i64) -> Option<String> {
        let step = self.step();
        if !(1..=MAXIMUM_CHARGE).contains(&minor) {
            return Some(format!("must be 1 to {MAXIMUM_CHARGE}"));
        }
        (minor % step != 0).then(|| format!("amounts in {self} must be multiples of {step}"))
    }

    /// What every amount that Stripe charges in this currency is a multiple of, in minor units.
    fn step(self) -> i64 {
        match self.decimals() {
            3 => 10,
            _ if WHOLE_UNITS.contains(&self.code()) => 100,
            _ => 1,
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = UnknownCurrency;
    fn try_from(code: String) -> Result<Self, UnknownCurrency> {
        Self::parse(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount in minor units of one currency: 1250 USD is 12 dollars 50.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units: cents for USD, yen for JPY, fils for KWD.
    pub minor: i64,
    /// What the units are of.
    pub currency: Currency,
}

impl Money {
    /// An amount of minor units.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }
}

impl fmt::Display for Money {
    /// `12.50 USD`, `1250 JPY`, `1.250 KWD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.currency.decimals();
        if decimals == 0 {
            return write!(f, "{} {}", self.minor, self.currency);
        }
        let unit = 10_u64.pow(decimals as u32);
        let (sign, minor) = (if self.minor < 0 { "-" } else { "" }, self.minor.unsigned_abs());
        write!(f, "{sign}{}.{:0decimals$} {}", minor / unit, minor % unit, self.currency)
    }
}

/// A share in hundredths of a percent: 500 is five percent. Between 0 and 9,999, so that a fee is always
/// less than a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BasisPoints(u16);

impl BasisPoints {
    /// No share at all.
    pub const NOTHING: Self = Self(0);

    /// A share below the whole; `None` for 10,000 and more.
    pub const fn new(points: u16) -> Option<Self> {
        if points < 10_000 { Some(Self(points)) } else { None }
    }

    /// Hundredths of a percent.
    pub const fn points(self) -> u16 {
        self.0
    }

    /// The share of an amount, rounded as [`part_of`] says: 250 points of 1,010 are 25.25, so 25; of 1,020 are
    /// 25.5, so 26. Only for amounts of zero and more.
    pub fn of(self, minor: i64) -> i64 {
        part_of(minor, i64::from(self.0), 10_000)
    }

    /// The smallest price that can be charged in a currency and leaves the creator something after this fee.
    pub fn minimum_price(self, currency: Currency) -> i64 {
        let step = currency.step();
        let mut price = currency.minimum_charge();
        while self.of(price) >= price {
            price += step;
        }
        price
    }
}

/// `whole × part / of`, **rounded half up**: the one rounding rule of Sluice, and the only place where anything
/// is rounded. Only for numbers of zero and more, with `part` at most `of`; of nothing, everything is nothing.
pub fn part_of(whole: i64, part: i64, of: i64) -> i64 {
    if of <= 0 {
        return 0;
    }
    let (exact, of) = (i128::from(whole) * i128::from(part), i128::from(of));
    // At most the whole itself: the conversion cannot fail.
    i64::try_from((2 * exact + of).div_euclid(2 * of)).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fees_round_half_up_once() {
        let fee = |points, minor| BasisPoints::new(points).unwrap().of(minor);
        for (points, minor, expected) in [
            (250, 1_010, 25),
            (250, 1_020, 26),
            (500, 1_999, 100),
            (500, 9, 0),
            (500, 10, 1),
            (0, 1_999, 0),
        ] {
            assert_eq!(fee(points, minor), expected, "{points} points of {minor}");
        }
        assert_eq!(BasisPoints::new(10_000), None);
    }

    #[test]
    fn s14_minor_units_are_right_end_to_end() {
        let show = |code, minor| Money::new(minor, Currency::parse(code).unwrap()).to_string();
        assert_eq!(show("usd", 1_250), "12.50 USD");
        assert_eq!(show("jpy", 1_250), "1250 JPY");
        assert_eq!(show("kwd", 1_250), "1.250 KWD");
        assert_eq!(show("usd", -5), "-0.05 USD");
        let kwd = Currency::parse("KWD").unwrap();
        assert!(kwd.charge_problem(1_255).is_some_and(|problem| problem.contains("of 10")));
        assert_eq!(kwd.charge_problem(1_250), None);
        // 500 are 5 shillings, and half a shilling does not exist.
        assert_eq!(show("ugx", 50_000), "500.00 UGX");
        let ugx = Currency::parse("UGX").unwrap();
        assert!(ugx.charge_problem(50_050).is_some_and(|problem| problem.contains("of 100")));
        assert_eq!(ugx.charge_problem(50_000), None);
        assert_eq!(BasisPoints::new(500).unwrap().minimum_price(ugx) % 100, 0);
    }

    #[test]
    fn currencies_are_those_that_stripe_charges() {
        for unknown in ["", "US", "USDX", "XXX", "€€", "💶"] {
            assert!(Currency::parse(unknown).is_err(), "{unknown}");
        }
        assert_eq!(Currency::parse("eur").unwrap().code(), "EUR");
    }

    #[test]
    fn s34_the_minimum_price_leaves_something() {
        let usd = Currency::USD;
        assert_eq!(BasisPoints::new(500).unwrap().minimum_price(usd), 50);
        let steep = BasisPoints::new(9_990).unwrap();
        let least = steep.minimum_price(usd);
        assert!(steep.of(least) < least && steep.of(least - 1) >= least - 1);
    }

    proptest::proptest! {
        #[test]
        fn a_fee_is_a_part_of_the_amount(points in 0_u16..10_000, minor in 0..=MAXIMUM_CHARGE) {
            let fee = BasisPoints::new(points).unwrap().of(minor);
            proptest::prop_assert!((0..=minor).contains(&fee));
            // Within half a unit of the exact share.
            let error = i128::from(fee) * 10_000 - i128::from(minor) * i128::from(points);
            proptest::prop_assert!((-5_000..=5_000).contains(&error));
        }
    }
}
