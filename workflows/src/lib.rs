//! The machines of Sluice: explicit, pure state machines for money between creators and their audience.
//!
//! Nothing here knows a clock, a network, a database or chance. A machine gets a state, an event and the
//! time, and returns the next state with the [effects](effect::Effect) it wants from the outside world and
//! the [records](record::Record) it wants written; or it refuses the event, with a reason. The engine does
//! the rest.
//!
//! Reading order: [`workflow`] (the shape of a machine), [`checkout`] (the richest one), [`effect`] and
//! [`record`] (what a step may ask for), [`ledger`] (how money is posted).

pub mod activation_list;
pub mod checkout;
pub mod connect_onboarding;
pub mod dispute;
pub mod earnings_rollup;
pub mod effect;
pub mod group_buy;
pub mod id;
pub mod keyed_hash;
pub mod ledger;
pub mod magic_link;
pub mod message;
pub mod money;
pub mod page_publish;
pub mod payout;
pub mod plan;
pub mod plan_subscription;
pub mod reading;
pub mod record;
pub mod refresh_token;
pub mod refund;
pub mod stripe;
pub mod stripe_event;
pub mod timestamp;
pub mod workflow;

pub use timestamp::Timestamp;
