//! Examples of everything: ids, an order, and the representative events of each machine.

use uuid::Uuid;
use workflows::{
    Timestamp,
    checkout::{self, Order, Request},
    connect_onboarding::{self, Onboard},
    earnings_rollup,
    effect::{Failure, LinkRequest, Marker, OnboardingUrls},
    group_buy,
    id::{
        CheckoutId, GroupBuyId, HandleId, LoginLinkId, MagicLinkId, OnboardingLinkId, PageId,
        PlanLinkId, SessionId, VisitorId,
    },
    ledger::Sale,
    magic_link,
    money::Currency,
    page_publish::{self, Wanted},
    payout::{self, Payee, Report},
    plan::Plan,
    plan_subscription::{self, Manual, Subscribe},
    record::{PlanLinkPurpose, VisitorSession},
    stripe::{
        Account, BalanceTransaction, Billing, CapabilityStatus, Outcome, PaidInvoice, Payment,
        Payout, PayoutStatus, Refund, RefundStatus, RequirementError, Requirements, Session,
        Subscription, SubscriptionStatus,
    },
};

use crate::examples_returns::checkout_returns_events;

/// When everything begins.
pub const START: Timestamp = Timestamp::from_secs(1_900_000_000);
/// What the page costs, minor units.
pub const PRICE: i64 = 1_250;
/// The platform's part of it.
pub const FEE: i64 = 63;

/// An event with what a diagram says beside its name, and the time at which it happens.
pub struct Example<E> {
    pub qualifier: &'static str,
    pub event: E,
    pub at: Timestamp,
}

pub fn example<E>(qualifier: &'static str, event: E) -> Example<E> {
    Example { qualifier, event, at: START }
}

pub fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + n)
}

pub fn checkout_id() -> CheckoutId {
    CheckoutId(uuid(1))
}

pub fn rival_id() -> CheckoutId {
    CheckoutId(uuid(2))
}

pub fn handle() -> HandleId {
    HandleId(uuid(3))
}

pub fn page() -> PageId {
    PageId(uuid(4))
}

pub fn link() -> MagicLinkId {
    MagicLinkId(uuid(5))
}

pub fn failure(code: &str) -> Failure {
    Failure { code: code.to_owned(), message: format!("it failed: {code}") }
}

pub fn sale(amount: i64, fee: i64) -> Sale {
    Sale {
        checkout: checkout_id(),
        handle: handle(),
        page: page(),
        campaign: Some("spring".to_owned()),
        account: "acct_1".to_owned(),
        amount,
        fee,
        currency: Currency::USD,
    }
}

pub fn request(amount: i64, fee: i64) -> checkout::Event {
    checkout::Event::Request(Box::new(Request {
        order: order(sale(amount, fee)),
        title: "How to bake bread".to_owned(),
        email: "reader@example.com".to_owned(),
        success_url: "https://example.com/thanks".to_owned(),
        cancel_url: "https://example.com/bread".to_owned(),
        expires_at: START.plus(Timestamp::HOUR),
    }))
}

pub fn order(sale: Sale) -> Order {
    Order { sale, visitor: VisitorId(uuid(6)), early_fee: None, interests: Vec::new() }
}

/// A request of what only those may buy who are interested in a group buy.
pub fn request_of_the_interested() -> checkout::Event {
    let checkout::Event::Request(mut request) = request(PRICE, FEE) else {
        panic!("a request is a request")
    };
    request.order.interests.push(group_buy());
    checkout::Event::Request(request)
}

pub fn group_buy() -> GroupBuyId {
    GroupBuyId(uuid(9))
}

pub fn group_buy_events() -> Vec<Example<group_buy::Event>> {
    use group_buy::{Event as E, Outcome, Refusal};
    let group_buy = group_buy();
    let deadline = Some(START.plus(Timestamp::DAY));
    let ended = |outcome, through| E::Ended { outcome, through };
    let listed = |after| E::InterestedListed { visitors: vec![VisitorId(uuid(6))], after };
    vec![
        example("", E::Create { group_buy }),
        example("", E::Publish { deadline: None }),
        example("until", E::Publish { deadline }),
        example("", E::ThresholdReached { through: 3 }),
        example("Activated", ended(Outcome::Activated, 3)),
        example("Lapsed", ended(Outcome::Refused(Refusal::Lapsed), 3)),
        example("Cancelled", ended(Outcome::Refused(Refusal::Cancelled), 3)),
        example("Lapsed, nobody", ended(Outcome::Refused(Refusal::Lapsed), 0)),
        example("", E::EndFailed(failure("discarded"))),
        example("", listed(None)),
        example("more", listed(Some(2))),
        example("", E::ListFailed(failure("discarded"))),
        example("", E::Sealed { hash: "9f86d081".to_owned() }),
        example("", E::SealFailed(failure("discarded"))),
        example("", E::Cancel),
        example("", E::TimerFired),
    ]
}

pub fn session_created() -> checkout::Event {
    checkout::Event::SessionCreated {
        session: "cs_1".to_owned(),
        url: "https://checkout.example.com/cs_1".to_owned(),
    }
}

pub fn session(outcome: Outcome) -> Session {
    Session { id: "cs_1".to_owned(), outcome }
}

pub fn reported(outcome: Outcome) -> checkout::Event {
    checkout::Event::SessionReported(session(outcome))
}

pub fn retrieved(outcome: Outcome) -> checkout::Event {
    checkout::Event::SessionRetrieved(session(outcome))
}

pub fn payment(intent: &str, amount: i64, currency: Currency) -> Payment {
    Payment { intent: intent.to_owned(), amount, currency }
}

/// Paid as agreed.
pub fn paid() -> Outcome {
    Outcome::Paid(payment("pi_1", PRICE, Currency::USD))
}

/// Something else was paid.
pub fn paid_otherwise() -> Outcome {
    Outcome::Paid(payment("pi_1", PRICE + 1, Currency::USD))
}

/// Paid by a second payment, beside the first.
pub fn paid_twice() -> Outcome {
    Outcome::Paid(payment("pi_2", PRICE, Currency::USD))
}

pub fn refund(id: &str, amount: i64, status: RefundStatus) -> Refund {
    Refund {
        id: id.to_owned(),
        payment_intent: "pi_1".to_owned(),
        amount,
        status,
        asked: None,
        reason: None,
    }
}

pub fn refunded(amount: i64, status: RefundStatus) -> checkout::Event {
    checkout::Event::RefundReported(refund("re_1", amount, status))
}

pub fn processor_fee(currency: Currency) -> checkout::Event {
    checkout::Event::ProcessorFee(BalanceTransaction {
        id: "txn_1".to_owned(),
        amount: PRICE,
        fee: 66,
        currency,
        available_on: START.plus(2 * Timestamp::DAY),
    })
}

pub fn checkout_events() -> Vec<Example<checkout::Event>> {
    use checkout::Event as E;
    let mut events = vec![
        example("", request(PRICE, FEE)),
        example("of nothing", request(0, 0)),
        example("", session_created()),
        example("", E::SessionFailed(failure("parameter_invalid"))),
        example("Open", reported(Outcome::Open)),
        example("Unpaid", reported(Outcome::Unpaid)),
        example("Paid", reported(paid())),
        example("Paid, not as agreed", reported(paid_otherwise())),
        example("PaymentFailed", reported(Outcome::PaymentFailed)),
        example("Expired", reported(Outcome::Expired)),
        example("Open", retrieved(Outcome::Open)),
        example("Unpaid", retrieved(Outcome::Unpaid)),
        example("Paid", retrieved(paid())),
        example("Paid, not as agreed", retrieved(paid_otherwise())),
        example("PaymentFailed", retrieved(Outcome::PaymentFailed)),
        example("Expired", retrieved(Outcome::Expired)),
        example("", E::SessionUnreadable(failure("resource_missing"))),
        example("", E::GrantLost { holder: rival_id() }),
        example("", E::InterestLost { group_buy: group_buy() }),
        example("Pending", refunded(PRICE, RefundStatus::Pending)),
        example("Succeeded", refunded(PRICE, RefundStatus::Succeeded)),
        example("Succeeded, not as agreed", refunded(PRICE + 1, RefundStatus::Succeeded)),
        example("Failed", refunded(PRICE, RefundStatus::Failed)),
        example("Canceled", refunded(PRICE, RefundStatus::Canceled)),
        example("", E::RefundFailed(failure("charge_disputed"))),
        example("", processor_fee(Currency::USD)),
        example("", E::SellerLost),
        example("", E::Cancel),
        example("", E::TimerFired),
    ];
    events.extend(checkout_returns_events());
    events
}

pub fn urls() -> OnboardingUrls {
    OnboardingUrls {
        return_url: "https://example.com/return".to_owned(),
        refresh_url: "https://example.com/refresh".to_owned(),
    }
}

/// The creator's wishes for a link, the first of which is 1.
pub fn wish(n: u8) -> OnboardingLinkId {
    OnboardingLinkId(uuid(0x100 + u128::from(n)))
}

pub fn onboard_as(request: LinkRequest) -> connect_onboarding::Event {
    connect_onboarding::Event::Onboard(Box::new(Onboard {
        handle: handle(),
        country: Some("DE".to_owned()),
        request,
        urls: urls(),
    }))
}

pub fn onboard_again(n: u8) -> connect_onboarding::Event {
    onboard_as(LinkRequest { id: wish(n), subject: "maria".to_owned(), proven_at: None })
}

pub fn onboard() -> connect_onboarding::Event {
    onboard_again(1)
}

/// With the proof of a used link.
pub fn onboard_by_used_link(n: u8) -> connect_onboarding::Event {
    onboard_as(LinkRequest {
        id: wish(n),
        subject: "maria".to_owned(),
        proven_at: Some(START.plus(-Timestamp::HOUR)),
    })
}

/// The answer to a reading that was begun at the start.
pub fn account_retrieved(account: Account) -> connect_onboarding::Event {
    connect_onboarding::Event::AccountRetrieved { begun_at: START, account }
}

/// An account whose form is not filled in.
pub fn incomplete(id: &str) -> Account {
    Account {
        id: id.to_owned(),
        requirements: Requirements {
            currently_due: vec!["external_account".to_owned()],
            disabled_reason: Some("requirements.past_due".to_owned()),
            ..Requirements::default()
        },
        ..Account::default()
    }
}

/// An account that Stripe is checking.
pub fn submitted(id: &str) -> Account {
    Account {
        id: id.to_owned(),
        details_submitted: true,
        requirements: Requirements {
            pending_verification: vec!["individual.verification.document".to_owned()],
            disabled_reason: Some("requirements.pending_verification".to_owned()),
            ..Requirements::default()
        },
        ..Account::default()
    }
}

/// An account that may sell.
pub fn enabled(id: &str) -> Account {
    Account {
        id: id.to_owned(),
        charges_enabled: true,
        payouts_enabled: true,
        details_submitted: true,
        transfers_active: true,
        capabilities: [("transfers".to_owned(), CapabilityStatus::Active)].into(),
        requirements: Requirements {
            eventually_due: vec!["individual.id_number".to_owned()],
            ..Requirements::default()
        },
    }
}

/// An account that must mend something first, and cannot be paid meanwhile.
pub fn restricted(id: &str) -> Account {
    Account {
        id: id.to_owned(),
        details_submitted: true,
        requirements: Requirements {
            past_due: vec!["individual.id_number".to_owned()],
            errors: vec![RequirementError {
                requirement: "individual.id_number".to_owned(),
                code: "verification_failed_id_number_match".to_owned(),
                reason: "The number is another's.".to_owned(),
            }],
            current_deadline: Some(START),
            disabled_reason: Some("requirements.past_due".to_owned()),
            ..Requirements::default()
        },
        ..Account::default()
    }
}

/// An account that can be paid, but is not paid out.
pub fn payouts_paused(id: &str) -> Account {
    Account {
        payouts_enabled: false,
        requirements: Requirements {
            currently_due: vec!["external_account".to_owned()],
            ..Requirements::default()
        },
        ..enabled(id)
    }
}

/// An account that Stripe has refused.
pub fn rejected(id: &str) -> Account {
    Account {
        id: id.to_owned(),
        details_submitted: true,
        requirements: Requirements {
            disabled_reason: Some("rejected.fraud".to_owned()),
            ..Requirements::default()
        },
        ..Account::default()
    }
}

pub fn connect_onboarding_events() -> Vec<Example<connect_onboarding::Event>> {
    use connect_onboarding::Event as E;
    let account = || "acct_1".to_owned();
    let request = LoginLinkId(uuid(9));
    let unreadable = |code| E::AccountUnreadable {
        account: "acct_1".to_owned(),
        begun_at: START,
        failure: failure(code),
    };
    vec![
        example("", onboard()),
        example("by a used link", onboard_by_used_link(1)),
        example("", E::AccountCreated { account: account() }),
        example("", E::AccountFailed(failure("country_unsupported"))),
        example(
            "",
            E::LinkCreated {
                account: account(),
                request: wish(1),
                url: "https://connect.example.com/setup/1".to_owned(),
                expires_at: START.plus(5 * Timestamp::MINUTE),
            },
        ),
        example(
            "",
            E::LinkFailed { account: account(), request: wish(1), failure: failure("api_error") },
        ),
        example("", E::AccountChanged),
        example("incomplete", account_retrieved(incomplete("acct_1"))),
        example("submitted", account_retrieved(submitted("acct_1"))),
        example("enabled", account_retrieved(enabled("acct_1"))),
        example("restricted", account_retrieved(restricted("acct_1"))),
        example("rejected", account_retrieved(rejected("acct_1"))),
        example("", unreadable("discarded")),
        example("account_invalid", unreadable("account_invalid")),
        example("payouts paused", account_retrieved(payouts_paused("acct_1"))),
        example("", E::Deauthorized { account: account() }),
        example("", E::OpenDashboard { request }),
        example(
            "",
            E::LoginLinkCreated {
                request,
                url: "https://connect.example.com/express/1".to_owned(),
            },
        ),
        example("", E::LoginLinkFailed { request, failure: failure("api_error") }),
        example("and more", E::CheckoutsClosed { account: account(), after: Some(checkout_id()) }),
        example("", E::CheckoutsClosed { account: account(), after: None }),
        example(
            "",
            E::PayoutReported { account: account(), payout: payout(PayoutStatus::InTransit) },
        ),
        example("", E::Cancel),
        example("", E::TimerFired),
    ]
}

pub fn earnings_rollup_events() -> Vec<Example<earnings_rollup::Event>> {
    use earnings_rollup::Event as E;
    vec![
        example("", E::Dirty { handle: handle() }),
        example("", E::RolledUp { transactions: 3 }),
        example("", E::RollUpFailed),
        example("", E::Cancel),
        example("", E::TimerFired),
    ]
}

pub fn visitor_session() -> VisitorSession {
    VisitorSession {
        link: link(),
        session: SessionId(uuid(7)),
        visitor: VisitorId(uuid(8)),
        token_hash: "5f".repeat(32),
        expires_at: START.plus(30 * Timestamp::DAY),
    }
}

pub fn magic_link_events() -> Vec<Example<magic_link::Event>> {
    use magic_link::Event as E;
    let late = START.plus(magic_link::LIFETIME);
    vec![
        example("", E::Request { link: link() }),
        example("", E::MailDone),
        example("", E::Consume(Box::new(visitor_session()))),
        Example { at: late, ..example("late", E::Consume(Box::new(visitor_session()))) },
        example("", E::Cancel),
        example("", E::TimerFired),
    ]
}

/// Odd versions are on sale.
pub fn wanted(version: i32) -> Wanted {
    let marker = if version % 2 == 1 { Marker::Published } else { Marker::Unpublished };
    Wanted { page: page(), version, marker }
}

pub fn page_publish_events() -> Vec<Example<page_publish::Event>> {
    use page_publish::Event as E;
    let mut events = vec![example("", E::Cancel), example("", E::TimerFired)];
    for version in 1..=4 {
        let marker: &'static str = wanted(version).marker.into();
        events.push(example(marker, E::Sync(wanted(version))));
        events.push(example("", E::Synced { version }));
        events.push(example("", E::SyncFailed { version, failure: failure("unreachable") }));
    }
    events
}

pub fn payout(status: PayoutStatus) -> Payout {
    Payout {
        id: "po_1".to_owned(),
        amount: 900,
        currency: Currency::USD,
        status,
        arrives: START.plus(2 * Timestamp::DAY),
        failure: (status == PayoutStatus::Failed).then(|| "The account was closed.".to_owned()),
    }
}

pub fn payout_report(status: PayoutStatus) -> payout::Event {
    let payee = Payee::Creator { handle: handle(), account: "acct_1".to_owned() };
    payout::Event::Reported(Report { payee, payout: payout(status) })
}

pub fn payout_events() -> Vec<Example<payout::Event>> {
    vec![
        example("Pending", payout_report(PayoutStatus::Pending)),
        example("InTransit", payout_report(PayoutStatus::InTransit)),
        example("Paid", payout_report(PayoutStatus::Paid)),
        example("Failed", payout_report(PayoutStatus::Failed)),
        example("Canceled", payout_report(PayoutStatus::Canceled)),
        example("", payout::Event::Cancel),
        example("", payout::Event::TimerFired),
    ]
}

/// When the page to subscribe on closes by itself.
pub const CLOSES: Timestamp = START.plus(12 * Timestamp::HOUR);
/// When the grace period of a payment that failed at the start is over.
pub const GRACE_OVER: Timestamp = START.plus(plan_subscription::GRACE);

/// A request for a link of a plan's; those of later numbers are newer.
pub fn plan_link(number: u8) -> PlanLinkId {
    PlanLinkId(uuid(0x100 + u128::from(number)))
}

pub fn subscribe() -> plan_subscription::Event {
    subscribe_as(1)
}

pub fn subscribe_as(request: u8) -> plan_subscription::Event {
    plan_subscription::Event::Subscribe(Box::new(Subscribe {
        handle: handle(),
        name: "Maria".to_owned(),
        price: "price_pro".to_owned(),
        success_url: "https://example.com/thanks".to_owned(),
        cancel_url: "https://example.com/plans".to_owned(),
        expires_at: CLOSES,
        request: Some(plan_link(request)),
    }))
}

pub fn open_portal(request: u8) -> plan_subscription::Event {
    plan_subscription::Event::OpenPortal {
        return_url: "https://example.com/plans".to_owned(),
        request: Some(plan_link(request)),
    }
}

pub fn subscription(status: SubscriptionStatus) -> Subscription {
    Subscription {
        id: "sub_1".to_owned(),
        status,
        price: "price_pro".to_owned(),
        plan: Some(Plan::Pro),
        period_start: START,
        period_end: START.plus(30 * Timestamp::DAY),
        cancel_at: None,
    }
}

pub fn invoice(id: &str) -> PaidInvoice {
    PaidInvoice { id: id.to_owned(), amount: 2_900, currency: Currency::USD }
}

/// What is read of a handle whose subscription stands so, and that has paid one invoice.
pub fn billing(status: SubscriptionStatus) -> Billing {
    Billing {
        subscription: Some(subscription(status)),
        others: Vec::new(),
        paid: vec![invoice("in_1")],
    }
}

pub fn billing_retrieved(reading: u32, billing: Billing) -> plan_subscription::Event {
    let customer = Some("cus_1".to_owned());
    plan_subscription::Event::BillingRetrieved { reading, customer, billing }
}

pub fn billing_unreadable(reading: u32, code: &str) -> plan_subscription::Event {
    let customer = Some("cus_1".to_owned());
    plan_subscription::Event::BillingUnreadable { reading, customer, failure: failure(code) }
}

pub fn set_manually(plan: Option<Plan>) -> plan_subscription::Event {
    let manual = plan.map(|plan| Manual { plan, reason: "a friend".to_owned() });
    plan_subscription::Event::SetManually { handle: handle(), manual }
}

pub fn checkout_created(session: &str, expires_at: Timestamp) -> plan_subscription::Event {
    checkout_created_for(1, session, expires_at)
}

pub fn checkout_created_for(
    request: u8,
    session: &str,
    expires_at: Timestamp,
) -> plan_subscription::Event {
    plan_subscription::Event::CheckoutCreated {
        session: session.to_owned(),
        url: format!("https://checkout.example.com/{session}"),
        expires_at,
        request: Some(plan_link(request)),
    }
}

pub fn portal_created(request: u8) -> plan_subscription::Event {
    plan_subscription::Event::PortalCreated {
        url: format!("https://billing.example.com/session/{request}"),
        expires_at: START.plus(5 * Timestamp::MINUTE),
        request: Some(plan_link(request)),
    }
}

pub fn link_failed(request: u8, purpose: PlanLinkPurpose, code: &str) -> plan_subscription::Event {
    let (failure, request) = (failure(code), Some(plan_link(request)));
    plan_subscription::Event::LinkFailed { purpose, failure, request }
}

pub fn plan_subscription_events() -> Vec<Example<plan_subscription::Event>> {
    use plan_subscription::Event as E;
    let mut events = vec![
        example("", subscribe()),
        example("", open_portal(2)),
        example("", E::CustomerCreated { customer: "cus_1".to_owned() }),
        example("", E::CustomerFailed(failure("api_error"))),
        example("", checkout_created("cs_1", CLOSES)),
        example("", portal_created(2)),
        example("", link_failed(1, PlanLinkPurpose::Checkout, "api_error")),
        example("no customer", link_failed(1, PlanLinkPurpose::Checkout, "resource_missing")),
        example("portal", link_failed(2, PlanLinkPurpose::Portal, "resource_missing")),
        example("", E::Changed),
        example("", set_manually(Some(Plan::Business))),
        example("cleared", set_manually(None)),
        example("", E::Cancel),
        example("", E::TimerFired),
        Example { at: GRACE_OVER, ..example("grace over", E::TimerFired) },
    ];
    for reading in 1..=2 {
        let unreadable = |code| billing_unreadable(reading, code);
        let read = |qualifier, billing| example(qualifier, billing_retrieved(reading, billing));
        events.extend([
            read("nothing", Billing::default()),
            read("active", billing(SubscriptionStatus::Active)),
            read("past due", billing(SubscriptionStatus::PastDue)),
            read("incomplete", billing(SubscriptionStatus::Incomplete)),
            read("ended", billing(SubscriptionStatus::Ended)),
            example("", unreadable("discarded")),
            example("no customer", unreadable("resource_missing")),
            Example {
                at: GRACE_OVER,
                ..example("no customer for a week", unreadable("resource_missing"))
            },
        ]);
    }
    events
}
