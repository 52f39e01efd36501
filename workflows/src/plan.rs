//! Plans: what a handle may do, how much of it, and what the platform keeps of its sales.
//!
//! Every rule about plans is a question to [`Plans`]; which plan a handle has is decided by
//! [`plan_subscription`](crate::plan_subscription).

use serde::{Deserialize, Serialize};

use crate::money::BasisPoints;

/// A plan, from the smallest to the largest. Never renamed once stored.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::Display,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Plan {
    /// What everybody has who has nothing else.
    Free,
    /// The first one that is paid for.
    Pro,
    /// The largest.
    Business,
}

impl Plan {
    /// All of them, the smallest first.
    pub const ALL: [Plan; 3] = [Plan::Free, Plan::Pro, Plan::Business];
}

/// Something that a plan has or has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::Display)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Feature {
    /// Pages that are sold.
    PaidPages,
    /// Group buys.
    GroupBuys,
}

impl Feature {
    /// All of them.
    pub const ALL: [Feature; 2] = [Feature::PaidPages, Feature::GroupBuys];
}

/// What a plan comes with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The platform's part of every sale.
    pub platform_fee: BasisPoints,
    /// Whether pages may be sold.
    pub paid_pages: bool,
    /// Whether group buys may be held.
    pub group_buys: bool,
    /// Writes to the handle in a day (UTC) at most.
    pub daily_writes: u32,
    /// People who may work on the handle at most, its owner among them.
    pub members: u32,
    /// Stripe's price of the plan, `price_…`; without one it cannot be subscribed to.
    pub price: Option<String>,
    /// Prices that it was sold at before: whoever pays one of them has the plan.
    pub former_prices: Vec<String>,
}

impl Terms {
    /// Whether a feature is among them.
    pub fn has(&self, feature: Feature) -> bool {
        match feature {
            Feature::PaidPages => self.paid_pages,
            Feature::GroupBuys => self.group_buys,
        }
    }

    /// Every price that pays for it, also those that nobody can subscribe at any more.
    fn prices(&self) -> impl Iterator<Item = &str> {
        self.price.iter().chain(&self.former_prices).map(String::as_str)
    }
}

/// The terms of every plan, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plans {
    free: Terms,
    pro: Terms,
    business: Terms,
}

/// The configuration of plans cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnusablePlans(String);

/// What configuration says otherwise, by plan.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
struct Changes {
    free: Option<Change>,
    pro: Option<Change>,
    business: Option<Change>,
}

/// What configuration says otherwise of one plan.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    platform_fee_bps: Option<u16>,
    paid_pages: Option<bool>,
    group_buys: Option<bool>,
    daily_writes: Option<u32>,
    members: Option<u32>,
    stripe_price: Option<String>,
    former_stripe_prices: Option<Vec<String>>,
}

impl Default for Plans {
    fn default() -> Self {
        let fee = |points| BasisPoints::new(points).unwrap_or(BasisPoints::NOTHING);
        Self {
            free: Terms {
                platform_fee: fee(1_000),
                paid_pages: false,
                group_buys: false,
                daily_writes: 100,
                members: 1,
                price: None,
                former_prices: Vec::new(),
            },
            pro: Terms {
                platform_fee: fee(500),
                paid_pages: true,
                group_buys: true,
                daily_writes: 2_000,
                members: 5,
                price: None,
                former_prices: Vec::new(),
            },
            business: Terms {
                platform_fee: fee(300),
                paid_pages: true,
                group_buys: true,
                daily_writes: 20_000,
                members: 50,
                price: None,
                former_prices: Vec::new(),
            },
        }
    }
}

impl Plans {
    /// The defaults, with one fee for all where there is one, changed by a JSON object:
    /// `{"PRO": {"platformFeeBps": 400, "stripePrice": "price_…"}}`. What is left out stays.
    pub fn configured(
        fee_of_all: Option<BasisPoints>,
        changes: Option<&str>,
    ) -> Result<Self, UnusablePlans> {
        let mut plans = Self::default();
        if let Some(fee) = fee_of_all {
            for terms in plans.each() {
                terms.platform_fee = fee;
            }
        }
        if let Some(json) = changes {
            let changes: Changes = serde_json::from_str(json).map_err(|error| {
                UnusablePlans(format!("it is not a JSON object of plans: {error}"))
            })?;
            let named = [changes.free, changes.pro, changes.business];
            for ((terms, change), plan) in plans.each().into_iter().zip(named).zip(Plan::ALL) {
                change.unwrap_or_default().apply(plan, terms)?;
            }
        }
        plans.check()?;
        Ok(plans)
    }

    fn each(&mut self) -> [&mut Terms; 3] {
        [&mut self.free, &mut self.pro, &mut self.business]
    }

    /// A larger plan never has less; and a price leads to one plan.
    fn check(&self) -> Result<(), UnusablePlans> {
        if self.free.prices().next().is_some() {
            let why = "FREE has a stripePrice or formerStripePrices, and is not paid for";
            return Err(UnusablePlans(why.to_owned()));
        }
        let twice = self.business.prices().find(|price| self.pro.prices().any(|pro| pro == *price));
        if let Some(price) = twice {
            return Err(UnusablePlans(format!(
                "{price} is a price of both PRO and BUSINESS, and can lead to one plan only"
            )));
        }
        for (smaller, larger) in [(Plan::Free, Plan::Pro), (Plan::Pro, Plan::Business)] {
            let (less, more) = (self.of(smaller), self.of(larger));
            let loses = Feature::ALL.into_iter().find(|has| less.has(*has) && !more.has(*has));
            if let Some(feature) = loses {
                return Err(UnusablePlans(format!(
                    "{smaller} has {feature}, and {larger} has not"
                )));
            }
            if less.daily_writes > more.daily_writes || less.members > more.members {
                return Err(UnusablePlans(format!("{smaller} has a higher limit than {larger}")));
            }
        }
        Ok(())
    }

    /// What a plan comes with.
    pub fn of(&self, plan: Plan) -> &Terms {
        match plan {
            Plan::Free => &self.free,
            Plan::Pro => &self.pro,
            Plan::Business => &self.business,
        }
    }

    /// The smallest plan that has a feature.
    pub fn with(&self, feature: Feature) -> Option<Plan> {
        Plan::ALL.into_iter().find(|plan| self.of(*plan).has(feature))
    }

    /// The smallest plan that allows more of something than another: writes a day, members.
    pub fn with_more_than(&self, plan: Plan, allowed: fn(&Terms) -> u32) -> Option<Plan> {
        let now = allowed(self.of(plan));
        Plan::ALL.into_iter().find(|larger| allowed(self.of(*larger)) > now)
    }

    /// The plan that one of Stripe's prices pays for, or has paid for.
    pub fn of_price(&self, price: &str) -> Option<Plan> {
        Plan::ALL.into_iter().find(|plan| self.of(*plan).prices().any(|its| its == price))
    }

    /// With a price where a plan has none: for installations over a simulated Stripe.
    pub fn priced(mut self, plan: Plan, price: &str) -> Self {
        let terms = match plan {
            Plan::Free => &mut self.free,
            Plan::Pro => &mut self.pro,
            Plan::Business => &mut self.business,
        };
        terms.price.get_or_insert_with(|| price.to_owned());
        self
    }
}

impl Change {
    fn apply(self, plan: Plan, terms: &mut Terms) -> Result<(), UnusablePlans> {
        if let Some(points) = self.platform_fee_bps {
            terms.platform_fee = BasisPoints::new(points).ok_or_else(|| {
                UnusablePlans(format!(
                    "{plan}: platformFeeBps {points} is not less than 10000, a whole"
                ))
            })?;
        }
        terms.paid_pages = self.paid_pages.unwrap_or(terms.paid_pages);
        terms.group_buys = self.group_buys.unwrap_or(terms.group_buys);
        terms.daily_writes = self.daily_writes.unwrap_or(terms.daily_writes);
        terms.members = self.members.unwrap_or(terms.members);
        for (field, prices) in [
            ("stripePrice", self.stripe_price.as_slice()),
            ("formerStripePrices", self.former_stripe_prices.as_deref().unwrap_or_default()),
        ] {
            if let Some(price) = prices.iter().find(|price| !price.starts_with("price_")) {
                return Err(UnusablePlans(format!("{plan}: {field} {price:?} is no price_…")));
            }
        }
        terms.price = self.stripe_price.or(terms.price.take());
        terms.former_prices = self.former_stripe_prices.unwrap_or_default();
        if terms.daily_writes == 0 || terms.members == 0 {
            return Err(UnusablePlans(format!("{plan}: dailyWrites and members are 1 at least")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paid_pages_begin_with_pro() {
        let plans = Plans::default();
        assert!(!plans.of(Plan::Free).has(Feature::PaidPages));
        assert_eq!(plans.with(Feature::PaidPages), Some(Plan::Pro));
        assert_eq!(plans.with_more_than(Plan::Free, |terms| terms.daily_writes), Some(Plan::Pro));
        assert_eq!(plans.with_more_than(Plan::Business, |terms| terms.members), None);
    }

    #[test]
    fn what_is_left_out_stays() {
        let json =
            r#"{"PRO": {"platformFeeBps": 400, "stripePrice": "price_1"}, "FREE": {"members": 2}}"#;
        let plans = Plans::configured(None, Some(json)).unwrap();
        let (free, pro) = (plans.of(Plan::Free), plans.of(Plan::Pro));
        assert_eq!((pro.platform_fee.points(), pro.daily_writes), (400, 2_000));
        assert_eq!((free.members, free.paid_pages), (2, false));
        assert_eq!(plans.of_price("price_1"), Some(Plan::Pro));
        assert_eq!(plans.of_price("price_2"), None);
    }

    /// Whoever subscribed at the old price keeps the plan when there is a new one.
    #[test]
    fn a_former_price_pays_for_its_plan() {
        let json = r#"{"PRO": {"stripePrice": "price_3", "formerStripePrices": ["price_1", "price_2"]},
            "BUSINESS": {"stripePrice": "price_4"}}"#;
        let plans = Plans::configured(None, Some(json)).unwrap();
        for price in ["price_1", "price_2", "price_3"] {
            assert_eq!(plans.of_price(price), Some(Plan::Pro), "{price}");
        }
        assert_eq!(plans.of_price("price_4"), Some(Plan::Business));
        assert_eq!(plans.of(Plan::Pro).price.as_deref(), Some("price_3"), "the one it is sold at");
    }

    #[test]
    fn one_fee_for_all_gives_way_to_a_plans_own() {
        let json = r#"{"BUSINESS": {"platformFeeBps": 100}}"#;
        let plans = Plans::configured(BasisPoints::new(700), Some(json)).unwrap();
        let points = Plan::ALL.map(|plan| plans.of(plan).platform_fee.points());
        assert_eq!(points, [700, 700, 100]);
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        for (json, why) in [
            ("PRO", "not a JSON object"),
            (r#"{"GOLD": {}}"#, "GOLD"),
            (r#"{"PRO": {"fee": 1}}"#, "fee"),
            (r#"{"PRO": {"platformFeeBps": 10000}}"#, "10000"),
            (r#"{"PRO": {"stripePrice": "prod_1"}}"#, "no price_"),
            (r#"{"PRO": {"dailyWrites": 0}}"#, "1 at least"),
            (r#"{"PRO": {"paidPages": false}, "FREE": {"paidPages": true}}"#, "PAID_PAGES"),
            (r#"{"FREE": {"dailyWrites": 3000}}"#, "higher limit"),
            (r#"{"FREE": {"stripePrice": "price_1"}}"#, "FREE"),
            (r#"{"FREE": {"formerStripePrices": ["price_1"]}}"#, "FREE"),
            (
                r#"{"PRO": {"formerStripePrices": ["prod_1"]}}"#,
                "formerStripePrices \"prod_1\" is no",
            ),
            (r#"{"PRO": {"formerStripePrices": "price_1"}}"#, "not a JSON object"),
            (
                r#"{"PRO": {"stripePrice": "price_1"}, "BUSINESS": {"stripePrice": "price_1"}}"#,
                "price_1 is a price of both",
            ),
            (
                r#"{"PRO": {"formerStripePrices": ["price_1"]}, "BUSINESS": {"stripePrice": "price_1"}}"#,
                "price_1 is a price of both",
            ),
            (
                r#"{"PRO": {"formerStripePrices": ["price_1"]},
                    "BUSINESS": {"formerStripePrices": ["price_2", "price_1"]}}"#,
                "price_1 is a price of both",
            ),
        ] {
            let error = Plans::configured(None, Some(json)).unwrap_err().to_string();
            assert!(error.contains(why), "{json}: {error}");
        }
    }
}
