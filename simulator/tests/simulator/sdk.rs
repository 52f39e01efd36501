//! async-stripe itself, pointed at the simulator.

use std::time::Duration;

use serde_json::json;
use stripe::{Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError, StripeRequest};
use stripe_billing::billing_portal_session::CreateBillingPortalSession;
use stripe_billing::invoice::ListInvoice;
use stripe_billing::subscription::{CancelSubscription, RetrieveSubscription, UpdateSubscription};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
    CreateCheckoutSessionPaymentIntentData, CreateCheckoutSessionPaymentIntentDataTransferData,
    CreateCheckoutSessionSubscriptionData, ExpireCheckoutSession, ProductData,
};
use stripe_connect::account::{
    CreateAccount, CreateAccountCapabilities, CreateAccountCapabilitiesTransfers,
    CreateAccountType, RetrieveAccount,
};
use stripe_connect::account_link::{CreateAccountLink, CreateAccountLinkType};
use stripe_connect::transfer::{CreateTransfer, ListTransfer};
use stripe_connect::transfer_reversal::{CreateIdTransferReversal, ListIdTransferReversal};
use stripe_core::balance::RetrieveForMyAccountBalance;
use stripe_core::balance_transaction::ListBalanceTransaction;
use stripe_core::customer::{CreateCustomer, UpdateCustomer};
use stripe_core::dispute::{CloseDispute, ListDispute};
use stripe_core::event::ListEvent;
use stripe_core::payment_intent::RetrievePaymentIntent;
use stripe_core::payout::ListPayout;
use stripe_core::refund::{CreateRefund, ListRefund};
use stripe_shared::{
    CheckoutSession, CheckoutSessionMode, CheckoutSessionPaymentStatus, CheckoutSessionStatus,
    DisputeStatus, InvoiceStatus, SubscriptionStatus,
};
use stripe_types::Currency;

use crate::support::{KEY, Sim};

fn client(sim: &Sim) -> Client {
    ClientBuilder::new(KEY)
        .url(format!("{}/", sim.running.url()))
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

async fn onboard(client: &Client) -> String {
    let transfers = CreateAccountCapabilitiesTransfers { requested: Some(true) };
    let capabilities = CreateAccountCapabilities {
        transfers: Some(transfers),
        ..CreateAccountCapabilities::new()
    };
    let account = CreateAccount::new()
        .type_(CreateAccountType::Express)
        .country("DE")
        .email("creator@example.test")
        .capabilities(capabilities)
        .send(client)
        .await
        .unwrap();
    CreateAccountLink::new(account.id.as_str(), CreateAccountLinkType::AccountOnboarding)
        .refresh_url("https://shop.test/again")
        .return_url("https://shop.test/back")
        .send(client)
        .await
        .unwrap();
    account.id.to_string()
}

async fn check_out(
    client: &Client,
    account: &str,
    fee: i64,
) -> Result<CheckoutSession, StripeError> {
    let mut intent = CreateCheckoutSessionPaymentIntentData::new();
    intent.application_fee_amount = Some(fee);
    intent.transfer_data = Some(CreateCheckoutSessionPaymentIntentDataTransferData::new(account));
    let mut price = CreateCheckoutSessionLineItemsPriceData::new(Currency::EUR);
    price.unit_amount = Some(1250);
    price.product_data = Some(ProductData::new("Ticket"));
    let mut item = CreateCheckoutSessionLineItems::new();
    item.quantity = Some(2);
    item.price_data = Some(price);
    let key = IdempotencyKey::new(format!("checkout:{account}:{fee}")).unwrap();
    CreateCheckoutSession::new()
        .mode(stripe_shared::CheckoutSessionMode::Payment)
        .line_items(vec![item])
        .payment_intent_data(intent)
        .client_reference_id("order_1")
        .success_url("https://shop.test/ok?s={CHECKOUT_SESSION_ID}")
        .metadata([("order".to_owned(), "1".to_owned())])
        .customize()
        .request_strategy(RequestStrategy::Idempotent(key))
        .send(client)
        .await
}

#[tokio::test]
async fn a_sale_from_onboarding_to_refund() {
    let sim = Sim::start().await;
    let client = client(&sim);
    let account = onboard(&client).await;
    let error = check_out(&client, &account, 1).await.unwrap_err();
    assert!(matches!(error, StripeError::Stripe(_, 400)), "{error}");
    let path = format!("accounts/{account}");
    sim.control(reqwest::Method::POST, &path, json!({ "complete": true })).await.ok();
    let retrieved = RetrieveAccount::new(account.as_str()).send(&client).await.unwrap();
    assert_eq!(retrieved.charges_enabled, Some(true));

    let session = check_out(&client, &account, 250).await.unwrap();
    assert_eq!(session.amount_total, Some(2500));
    assert_eq!(check_out(&client, &account, 250).await.unwrap().id, session.id);
    let paid =
        sim.play(&json!({ "id": session.id.as_str() }), json!({ "outcome": "paid" })).await.ok();
    let intent = paid["payment_intent"].as_str().unwrap();
    let intent = RetrievePaymentIntent::new(intent)
        .expand(["latest_charge.balance_transaction".to_owned()])
        .send(&client)
        .await
        .unwrap();
    let charge = intent.latest_charge.unwrap().into_object().unwrap();
    let movement = charge.balance_transaction.unwrap().into_object().unwrap();
    assert_eq!((movement.amount, movement.fee), (2500, 103));

    let refund = CreateRefund::new()
        .payment_intent(intent.id.as_str())
        .amount(500)
        .reverse_transfer(true)
        .refund_application_fee(true)
        .send(&client)
        .await
        .unwrap();
    let refunds = ListRefund::new().payment_intent(intent.id.as_str()).send(&client).await.unwrap();
    assert_eq!(refunds.data[0].id, refund.id);
    let movements = ListBalanceTransaction::new()
        .expand(["data.source".to_owned()])
        .send(&client)
        .await
        .unwrap();
    assert_eq!(movements.data.iter().map(|m| m.net).sum::<i64>(), 2500 - 103 - 500 - 2000 + 200);
    let events = ListEvent::new().limit(100).send(&client).await.unwrap();
    assert!(events.data.len() > 5);
}

#[tokio::test]
async fn a_dispute_from_its_beginning_to_a_new_transfer() {
    let sim = Sim::start().await;
    let client = client(&sim);
    let account = sim.account().await;
    let charge = sim.paid(1000, Some((&account, 100))).await;
    let intent = charge["payment_intent"].as_str().unwrap();
    let path = format!("charges/{intent}/dispute");
    sim.control(reqwest::Method::POST, &path, json!({})).await.ok();
    let disputes = ListDispute::new().payment_intent(intent).send(&client).await.unwrap();
    let dispute = &disputes.data[0];
    assert_eq!((dispute.status.clone(), dispute.amount), (DisputeStatus::NeedsResponse, 1000));
    assert_eq!(dispute.balance_transactions[0].fee, 1500);

    let transfer = charge["transfer"].as_str().unwrap();
    let reversal = CreateIdTransferReversal::new(transfer)
        .amount(1000)
        .refund_application_fee(true)
        .metadata([("dispute".to_owned(), dispute.id.to_string())])
        .send(&client)
        .await
        .unwrap();
    let reversals = ListIdTransferReversal::new(transfer).send(&client).await.unwrap();
    assert_eq!(reversals.data[0].id, reversal.id);
    let closed = CloseDispute::new(dispute.id.clone()).send(&client).await.unwrap();
    assert_eq!(closed.status, DisputeStatus::Lost);
    let refused = CreateRefund::new().payment_intent(intent).send(&client).await.unwrap_err();
    assert!(matches!(refused, StripeError::Stripe(_, 400)), "{refused}");

    let made = CreateTransfer::new(Currency::EUR, account.clone())
        .amount(900)
        .transfer_group("again")
        .send(&client)
        .await
        .unwrap();
    let found = ListTransfer::new().destination(account).send(&client).await.unwrap();
    assert_eq!(found.data[0].id, made.id);
    sim.paid(10_000, None).await;
    let body = json!({ "currency": "eur", "amount": 100 });
    let payout = sim.control(reqwest::Method::POST, "payouts", body).await.ok();
    let payouts = ListPayout::new().send(&client).await.unwrap();
    assert_eq!(payouts.data[0].id.as_str(), payout["id"]);
    let balance = RetrieveForMyAccountBalance::new().send(&client).await.unwrap();
    let balance = balance.available[0].amount + balance.pending[0].amount;
    assert_eq!(balance, sim.summary().await["platform"]["eur"]["balance"]);
}

#[tokio::test]
async fn a_session_is_expired() {
    let sim = Sim::start().await;
    let client = client(&sim);
    let account = sim.account().await;
    let session = check_out(&client, &account, 0).await.unwrap();
    let expired = ExpireCheckoutSession::new(session.id.clone()).send(&client).await.unwrap();
    assert_eq!(expired.status, Some(CheckoutSessionStatus::Expired));
    assert_eq!(expired.payment_status, CheckoutSessionPaymentStatus::Unpaid);
    let again = ExpireCheckoutSession::new(session.id).send(&client).await.unwrap_err();
    assert!(matches!(again, StripeError::Stripe(_, 400)), "{again}");
}

#[tokio::test]
async fn a_subscription_from_checkout_to_cancellation() {
    let sim = Sim::start().await;
    let client = client(&sim);
    let price = sim.price("Pro", 1200, "month").await;
    let customer = CreateCustomer::new().email("a@b.test").send(&client).await.unwrap();
    let renamed =
        UpdateCustomer::new(customer.id.clone()).name("Owner").send(&client).await.unwrap();
    assert_eq!(renamed.name.as_deref(), Some("Owner"));
    let mut item = CreateCheckoutSessionLineItems::new();
    item.price = Some(price.clone());
    item.quantity = Some(1);
    let mut data = CreateCheckoutSessionSubscriptionData::new();
    data.metadata = Some([("handle".to_owned(), "1".to_owned())].into());
    let session = CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Subscription)
        .customer(customer.id.as_str())
        .line_items(vec![item])
        .subscription_data(data)
        .success_url("https://shop.test/ok")
        .send(&client)
        .await
        .unwrap();
    let paid =
        sim.play(&json!({ "id": session.id.as_str() }), json!({ "outcome": "paid" })).await.ok();
    let id = paid["session"]["subscription"].as_str().unwrap().to_owned();

    let retrieved = RetrieveSubscription::new(id.as_str())
        .expand(["latest_invoice".to_owned(), "customer".to_owned()])
        .send(&client)
        .await
        .unwrap();
    assert_eq!(retrieved.status, SubscriptionStatus::Active);
    assert_eq!(retrieved.metadata["handle"], "1");
    assert_eq!(retrieved.items.data[0].price.id.as_str(), price);
    let invoice = retrieved.latest_invoice.unwrap().into_object().unwrap();
    assert_eq!((invoice.status, invoice.amount_paid), (Some(InvoiceStatus::Paid), 1200));
    let invoices = ListInvoice::new().subscription(id.as_str()).send(&client).await.unwrap();
    assert_eq!(invoices.data.len(), 1);
    let portal = CreateBillingPortalSession::new()
        .customer(customer.id.as_str())
        .return_url("https://shop.test/billing")
        .send(&client)
        .await
        .unwrap();
    assert!(portal.url.starts_with(&sim.running.url()));
    let updated = UpdateSubscription::new(id.as_str())
        .cancel_at_period_end(true)
        .send(&client)
        .await
        .unwrap();
    assert_eq!(updated.cancel_at, Some(updated.items.data[0].current_period_end));
    let canceled = CancelSubscription::new(id.as_str()).send(&client).await.unwrap();
    assert_eq!(canceled.status, SubscriptionStatus::Canceled);
}
