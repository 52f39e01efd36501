"""The official Stripe SDK, unmodified, pointed at the simulator.

Usage: official_sdk.py ADDRESS, where the simulator listens at ADDRESS (http://host:port).
Exits with an error at the first thing that is not as Stripe promises.
"""

import http.server
import json
import queue
import sys
import threading
import urllib.request

import stripe

PATIENCE_SECONDS = 30
DAY = 24 * 60 * 60


class Listener(http.server.BaseHTTPRequestHandler):
    """Takes in webhooks as they come: the raw body and the signature."""

    received: "queue.Queue[tuple[bytes, str]]" = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.put((body, self.headers["Stripe-Signature"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def check(condition, what):
    if not condition:
        raise SystemExit(f"not as Stripe promises: {what}")


def same(actual, expected, what):
    check(actual == expected, f"{what} is {actual!r}, not {expected!r}")


class Control:
    """What a person or a bank would do."""

    def __init__(self, address):
        self.address = address

    def __call__(self, path, **body):
        request = urllib.request.Request(
            f"{self.address}/_sim/{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
            return json.load(response)


class Webhooks:
    """The events that came, each verified by the SDK."""

    def __init__(self, client):
        self.client = client
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        endpoint = client.v1.webhook_endpoints.create(
            {
                "url": f"http://127.0.0.1:{self.server.server_port}/",
                "enabled_events": ["*"],
            }
        )
        self.secret = endpoint.secret
        self.events = []

    def until(self, kind):
        """The first event of this kind that nobody has asked for yet."""
        for event in self.events:
            if event.type == kind:
                self.events.remove(event)
                return event
        while True:
            try:
                body, signature = Listener.received.get(timeout=PATIENCE_SECONDS)
            except queue.Empty:
                raise SystemExit(f"no webhook of kind {kind} came") from None
            event = self.client.construct_event(body, signature, self.secret)
            self.refuse_forgeries(body, signature)
            if event.type == kind:
                return event
            self.events.append(event)

    def refuse_forgeries(self, body, signature):
        for forged, secret in [(body + b" ", self.secret), (body, "whsec_of_somebody_else")]:
            try:
                self.client.construct_event(forged, signature, secret)
            except stripe.SignatureVerificationError:
                continue
            raise SystemExit("a forged webhook was verified")


def connect_an_account(client, control):
    account = client.v1.accounts.create(
        {
            "type": "express",
            "country": "DE",
            "email": "creator@example.test",
            "capabilities": {
                "card_payments": {"requested": True},
                "transfers": {"requested": True},
            },
            "metadata": {"creator": "1"},
        }
    )
    same(account.charges_enabled, False, "charges_enabled of a bare account")
    link = client.v1.account_links.create(
        {
            "account": account.id,
            "type": "account_onboarding",
            "refresh_url": "https://shop.test/again",
            "return_url": "https://shop.test/back",
        }
    )
    check(link.url.startswith(control.address), f"the onboarding link is {link.url}")
    control(f"accounts/{account.id}", complete=True)
    same(client.v1.accounts.retrieve(account.id).charges_enabled, True, "charges_enabled")
    return account


def sell(client, control, webhooks, account):
    """A sale of 10.00 EUR, of which the platform keeps 1.00; gives the payment intent."""
    session = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "eur",
                        "unit_amount": 1000,
                        "product_data": {"name": "Ticket"},
                    },
                }
            ],
            "payment_intent_data": {
                "application_fee_amount": 100,
                "transfer_data": {"destination": account.id},
            },
            "success_url": "https://shop.test/ok",
            "cancel_url": "https://shop.test/no",
        }
    )
    paid = control(f"checkout/sessions/{session.id}/pay", outcome="paid")
    same(webhooks.until("checkout.session.completed").data.object.id, session.id, "the session")
    return client.v1.payment_intents.retrieve(
        paid["payment_intent"],
        {"expand": ["latest_charge.transfer", "latest_charge.application_fee"]},
    )


def take_money_back(client, control, webhooks, account):
    intent = sell(client, control, webhooks, account)
    transfer = intent.latest_charge.transfer
    same(transfer.amount_reversed, 0, "amount_reversed of a new transfer")
    control(f"charges/{intent.id}/dispute", reason="product_not_received")
    disputed = webhooks.until("charge.dispute.created").data.object
    webhooks.until("charge.dispute.funds_withdrawn")
    dispute = client.v1.disputes.list({"payment_intent": intent.id}).data[0]
    same((dispute.id, dispute.status), (disputed.id, "needs_response"), "the dispute listed")
    same(dispute.balance_transactions[0].net, -2500, "what the dispute takes")
    try:
        client.v1.refunds.create({"payment_intent": intent.id})
    except stripe.InvalidRequestError as error:
        same((error.http_status, error.code), (400, "charge_disputed"), "the refusal of a refund")
    else:
        raise SystemExit("a disputed charge was refunded")

    reversal = client.v1.transfers.reversals.create(
        transfer.id,
        {"amount": 500, "refund_application_fee": True, "metadata": {"dispute": dispute.id}},
        {"idempotency_key": "reverse:1"},
    )
    listed = client.v1.transfers.reversals.list(transfer.id)
    same([one.id for one in listed.data], [reversal.id], "the reversals of the transfer")
    fee = client.v1.application_fees.retrieve(intent.latest_charge.application_fee.id)
    same(fee.amount_refunded, 50, "amount_refunded of the fee")
    control(f"disputes/{dispute.id}/close", status="won")
    won = webhooks.until("charge.dispute.closed").data.object
    same((won.status, len(won.balance_transactions)), ("won", 2), "the end of the dispute")
    again = client.v1.transfers.create(
        {"amount": 450, "currency": "eur", "destination": account.id}
    )
    transfers = client.v1.transfers.list({"destination": account.id})
    same([one.id for one in transfers.data], [again.id, transfer.id], "the transfers")


def pay_out(client, control, account):
    as_account = {"stripe_account": account.id}
    made = control("payouts", account=account.id, currency="eur")
    control(f"payouts/{made['id']}", status="paid")
    payouts = client.v1.payouts.list({}, as_account)
    same([(one.id, one.status) for one in payouts.data], [(made["id"], "paid")], "the payouts")
    paid = client.v1.balance_transactions.list(
        {"payout": made["id"], "expand": ["data.source"]}, as_account
    )
    nets = {one.type: one.net for one in paid.auto_paging_iter() if one.type != "payment"}
    same(nets["payout"], -made["amount"], "the balance transaction of the payout")
    same(nets["payment_refund"], -500, "what the reversal took")
    balance = client.v1.balance.retrieve({}, as_account)
    same(balance.available[0].amount + balance.pending[0].amount, 0, "what is left")
    told = client.v1.events.list({"types": ["payout.created", "payout.paid"]}, as_account)
    same([event.type for event in told.data], ["payout.paid", "payout.created"], "the events")
    told = client.v1.events.list({"type": "charge.dispute.*", "limit": 2})
    kinds = [event.type for event in told.auto_paging_iter()]
    same(
        kinds,
        [
            "charge.dispute.closed",
            "charge.dispute.funds_reinstated",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.created",
        ],
        "the events of the dispute",
    )


def make_plans(client):
    product = client.v1.products.create({"name": "Pro"})
    recurring = {"product": product.id, "currency": "eur"}
    monthly = client.v1.prices.create(
        {**recurring, "unit_amount": 1200, "recurring": {"interval": "month"}}
    )
    client.v1.prices.create({**recurring, "unit_amount": 12000, "recurring": {"interval": "year"}})
    prices = client.v1.prices.list({"product": product.id, "active": True})
    same(sorted(price.unit_amount for price in prices.data), [1200, 12000], "the prices")
    return monthly


def subscribe(client, control, webhooks, price):
    customer = client.v1.customers.create({"email": "owner@example.test", "name": "Owner"})
    session = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer.id,
            "client_reference_id": "handle_1",
            "line_items": [{"price": price.id, "quantity": 1}],
            "subscription_data": {"metadata": {"handle": "1"}},
            "success_url": "https://shop.test/ok?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://shop.test/no",
        },
        {"idempotency_key": "subscribe:1"},
    )
    same(session.amount_total, 1200, "amount_total")
    same(session.subscription, None, "the subscription of an open session")
    control(f"checkout/sessions/{session.id}/pay", outcome="paid")

    completed = webhooks.until("checkout.session.completed").data.object
    same(completed.id, session.id, "the completed session")
    same(completed.payment_status, "paid", "payment_status")
    same(completed.customer, customer.id, "the customer of the session")
    same(webhooks.until("customer.subscription.created").data.object.id, completed.subscription,
         "the subscription of the event")
    paid = webhooks.until("invoice.paid").data.object
    same(paid.parent.subscription_details.subscription, completed.subscription,
         "the subscription of the invoice")
    same(paid.parent.subscription_details.metadata["handle"], "1", "the metadata of the invoice")

    subscription = client.v1.subscriptions.retrieve(
        completed.subscription, {"expand": ["latest_invoice", "customer"]}
    )
    same(subscription.status, "active", "status")
    same(subscription.metadata["handle"], "1", "metadata")
    same(subscription.latest_invoice.amount_paid, 1200, "amount_paid of the first invoice")
    same(subscription.customer.email, "owner@example.test", "the customer's e-mail address")
    return customer, subscription


def period_end(client, subscription):
    items = client.v1.subscriptions.retrieve(subscription.id)["items"].data
    return items[0].current_period_end


def renew(client, control, webhooks, customer, subscription):
    first_end = period_end(client, subscription)
    control("clock", advance_seconds=32 * DAY)
    webhooks.until("invoice.paid")
    check(period_end(client, subscription) > first_end, "the period did not move on")

    control(f"customers/{customer.id}", card="declines")
    control("clock", advance_seconds=31 * DAY)
    failed = webhooks.until("invoice.payment_failed").data.object
    same(failed.status, "open", "the status of an invoice that could not be collected")
    retrieved = client.v1.subscriptions.retrieve(subscription.id)
    same(retrieved.status, "past_due", "status after a failed payment")
    control(f"customers/{customer.id}", card="ok")
    control("clock", advance_seconds=4 * DAY)
    same(webhooks.until("invoice.paid").data.object.id, failed.id, "the invoice that was tried again")
    retrieved = client.v1.subscriptions.retrieve(subscription.id)
    same(retrieved.status, "active", "status after the second try")
    invoices = client.v1.invoices.list({"subscription": subscription.id, "limit": 1})
    ids = [invoice.id for invoice in invoices.auto_paging_iter()]
    same(len(ids), 3, "the number of invoices")


def manage(client, control, webhooks, customer, subscription):
    portal = client.v1.billing_portal.sessions.create(
        {"customer": customer.id, "return_url": "https://shop.test/billing"}
    )
    same(portal.customer, customer.id, "the customer of the portal session")
    with urllib.request.urlopen(portal.url, timeout=PATIENCE_SECONDS) as page:
        html = page.read().decode()
    for expected in ["simulator", "Pro, 12.00 EUR every month", "https://shop.test/billing"]:
        check(expected in html, f"{expected!r} is missing in the portal page")
    updated = client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    same(updated.cancel_at_period_end, True, "cancel_at_period_end")
    control("clock", advance_seconds=32 * DAY)
    ended = webhooks.until("customer.subscription.deleted").data.object
    same((ended.id, ended.status), (subscription.id, "canceled"), "the end")
    kinds = {event.type for event in client.v1.events.list({"limit": 100}).auto_paging_iter()}
    check("customer.subscription.deleted" in kinds, f"the events listed are {sorted(kinds)}")


def refuse_mistakes(client, price):
    try:
        client.v1.subscriptions.retrieve("sub_of_nobody")
    except stripe.InvalidRequestError as error:
        same((error.http_status, error.code), (404, "resource_missing"), "the error")
    else:
        raise SystemExit("a subscription of nobody was found")
    card = {"payment_method": "pm_card_chargeCustomerFail"}
    customer = client.v1.customers.create({"email": "poor@example.test", **card})
    try:
        client.v1.subscriptions.create(
            {
                "customer": customer.id,
                "items": [{"price": price.id}],
                "payment_behavior": "error_if_incomplete",
            }
        )
    except stripe.CardError as error:
        same(error.code, "card_declined", "the code of a decline")
    else:
        raise SystemExit("a declined card was charged")


def main():
    address = sys.argv[1]
    client = stripe.StripeClient(
        "sk_test_simulator", base_addresses={"api": address}, max_network_retries=0
    )
    control = Control(address)
    webhooks = Webhooks(client)
    account = connect_an_account(client, control)
    take_money_back(client, control, webhooks, account)
    pay_out(client, control, account)
    price = make_plans(client)
    customer, subscription = subscribe(client, control, webhooks, price)
    renew(client, control, webhooks, customer, subscription)
    manage(client, control, webhooks, customer, subscription)
    refuse_mistakes(client, price)
    print(f"stripe {stripe.VERSION} for API version {stripe.api_version}: all as promised")


main()
