//! A simulator with somebody who listens to its webhooks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use poem::http::StatusCode;
use poem::listener::TcpAcceptor;
use poem::web::Data;
use poem::{EndpointExt, Request, Route, Server, handler};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use simulator::{Endpoint, Endpoints, Running, Simulator, SimulatorConfig};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) const KEY: &str = "sk_test_simulator";
pub(crate) const PLATFORM_SECRET: &str = "whsec_platform";
pub(crate) const CONNECT_SECRET: &str = "whsec_connect";

/// Longer than anything should take; shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) json: Value,
}

impl Reply {
    async fn of(response: Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            json: response.json().await.unwrap_or_default(),
        }
    }

    /// The object, after making sure that it is not an error.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.json);
        self.json
    }

    /// The error object, after making sure of the status.
    #[track_caller]
    pub(crate) fn error(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.json);
        self.json["error"].clone()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A running simulator and a client.
pub(crate) struct Sim {
    pub(crate) running: Running,
    pub(crate) http: reqwest::Client,
}

impl Sim {
    /// Without webhooks.
    pub(crate) async fn start() -> Self {
        Self::start_with(SimulatorConfig::default()).await
    }

    pub(crate) async fn start_with(config: SimulatorConfig) -> Self {
        let running = Simulator::start(config).await.unwrap();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { running, http }
    }

    /// With webhooks to one listener, which knows them apart by their paths.
    pub(crate) async fn start_heard() -> (Self, Inbox) {
        let inbox = Inbox::open().await;
        let sim = Self::start().await;
        sim.running.set_endpoints(inbox.endpoints());
        (sim, inbox)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.running.url()))
    }

    pub(crate) fn api(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(KEY)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        send(self.api(Method::GET, path)).await
    }

    /// A form as it is written: `amount=500&metadata[a]=b`.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Reply {
        send(self.api(Method::POST, path).body(form.to_owned())).await
    }

    pub(crate) async fn post_once(&self, key: &str, path: &str, form: &str) -> Reply {
        let request = self.api(Method::POST, path).header("idempotency-key", key);
        send(request.body(form.to_owned())).await
    }

    pub(crate) async fn control(&self, method: Method, path: &str, body: Value) -> Reply {
        send(self.request(method, &format!("/_sim/{path}")).json(&body)).await
    }

    pub(crate) async fn faults(&self, faults: Value) {
        self.control(Method::PUT, "faults", faults).await.ok();
    }

    pub(crate) async fn advance(&self, seconds: i64) {
        let body = json!({ "advance_seconds": seconds });
        self.control(Method::POST, "clock", body).await.ok();
    }

    pub(crate) async fn now(&self) -> i64 {
        let clock = self.control(Method::GET, "clock", json!({})).await.ok();
        clock["now"].as_i64().unwrap()
    }

    pub(crate) async fn summary(&self) -> Value {
        send(self.request(Method::GET, "/_sim/summary")).await.ok()
    }

    /// A connected account that has just been created.
    pub(crate) async fn bare_account(&self) -> String {
        let form = "type=express&country=DE&email=creator@example.test\
                    &capabilities[transfers][requested]=true\
                    &capabilities[card_payments][requested]=true&metadata[creator]=1";
        let account = self.post("/v1/accounts", form).await.ok();
        text(&account["id"])
    }

    /// A connected account that can take money.
    pub(crate) async fn account(&self) -> String {
        let id = self.bare_account().await;
        let path = format!("accounts/{id}");
        self.control(Method::POST, &path, json!({ "complete": true })).await.ok();
        id
    }

    /// A session for one item of this amount, for this account and with this fee.
    pub(crate) async fn session(&self, amount: i64, sale: Option<(&str, i64)>) -> Value {
        self.post("/v1/checkout/sessions", &session_form(amount, sale)).await.ok()
    }

    pub(crate) async fn play(&self, session: &Value, body: Value) -> Reply {
        let path = format!("checkout/sessions/{}/pay", text(&session["id"]));
        self.control(Method::POST, &path, body).await
    }

    /// Pays a new session and gives the charge.
    pub(crate) async fn paid(&self, amount: i64, sale: Option<(&str, i64)>) -> Value {
        let session = self.session(amount, sale).await;
        let paid = self.play(&session, json!({ "outcome": "paid" })).await.ok();
        let path =
            format!("/v1/payment_intents/{}?expand[]=latest_charge", text(&paid["payment_intent"]));
        self.get(&path).await.ok()["latest_charge"].clone()
    }
}

/// What belongs to subscriptions.
impl Sim {
    /// A price of so many cents per interval, of a product with this name.
    pub(crate) async fn price(&self, name: &str, amount: i64, interval: &str) -> String {
        let form = format!(
            "currency=eur&unit_amount={amount}&recurring[interval]={interval}\
             &product_data[name]={name}"
        );
        text(&self.post("/v1/prices", &form).await.ok()["id"])
    }

    /// An open session for a subscription to this price.
    pub(crate) async fn subscription_session(&self, price: &str, more: &str) -> Value {
        let form = format!(
            "mode=subscription&success_url=https://shop.test/ok?s={{CHECKOUT_SESSION_ID}}\
             &cancel_url=https://shop.test/no&line_items[0][price]={price}\
             &line_items[0][quantity]=1{more}"
        );
        self.post("/v1/checkout/sessions", &form).await.ok()
    }

    /// The id of a subscription to this price that has just been paid, and of its customer.
    pub(crate) async fn subscribed(&self, price: &str) -> (String, String) {
        let session = self.subscription_session(price, "&customer_email=owner@a.test").await;
        let paid = self.play(&session, json!({ "outcome": "paid" })).await.ok();
        (text(&paid["session"]["subscription"]), text(&paid["session"]["customer"]))
    }

    pub(crate) async fn subscription(&self, id: &str) -> Value {
        self.get(&format!("/v1/subscriptions/{id}")).await.ok()
    }

    /// The invoices of a subscription, newest first.
    pub(crate) async fn invoices(&self, subscription: &str) -> Vec<Value> {
        let path = format!("/v1/invoices?limit=100&subscription={subscription}");
        self.get(&path).await.ok()["data"].as_array().unwrap().clone()
    }

    /// What the bank says to charges of this customer from now on.
    pub(crate) async fn set_card(&self, customer: &str, card: &str) {
        let path = format!("customers/{customer}");
        self.control(Method::POST, &path, json!({ "card": card })).await.ok();
    }

    /// Lets time pass until the present period of a subscription is over.
    pub(crate) async fn end_period(&self, subscription: &str) {
        let end = period(&self.subscription(subscription).await).1;
        self.advance(end - self.now().await + 1).await;
    }
}

/// The present period of a subscription, by its first item.
#[track_caller]
pub(crate) fn period(subscription: &Value) -> (i64, i64) {
    let item = &subscription["items"]["data"][0];
    let instant = |name: &str| item[name].as_i64().unwrap();
    (instant("current_period_start"), instant("current_period_end"))
}

pub(crate) fn session_form(amount: i64, sale: Option<(&str, i64)>) -> String {
    let mut form = format!(
        "mode=payment&success_url=https://shop.test/ok?s={{CHECKOUT_SESSION_ID}}\
         &cancel_url=https://shop.test/no&client_reference_id=order_1&metadata[order]=1\
         &line_items[0][quantity]=1&line_items[0][price_data][currency]=eur\
         &line_items[0][price_data][unit_amount]={amount}\
         &line_items[0][price_data][product_data][name]=Ticket\
         &payment_intent_data[metadata][order]=1"
    );
    if let Some((account, fee)) = sale {
        form.push_str(&format!(
            "&payment_intent_data[transfer_data][destination]={account}\
             &payment_intent_data[application_fee_amount]={fee}"
        ));
    }
    form
}

pub(crate) async fn send(request: RequestBuilder) -> Reply {
    Reply::of(request.send().await.unwrap()).await
}

#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

pub(crate) fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|object| text(&object["id"])).collect()
}

/// Asks for something as this connected account.
pub(crate) async fn as_account(sim: &Sim, account: &str, path: &str) -> Reply {
    send(sim.api(Method::GET, path).header("stripe-account", account)).await
}

/// The types of the platform's events after the latest one of this type, in order.
pub(crate) async fn kinds_since(sim: &Sim, kind: &str) -> Vec<String> {
    let page = sim.get("/v1/events?limit=100").await.ok();
    let events = page["data"].as_array().unwrap().iter().map(|event| text(&event["type"]));
    let mut kinds: Vec<String> = events.take_while(|one| one != kind).collect();
    kinds.reverse();
    kinds
}

/// A webhook as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// `/platform` or `/connect`.
    pub(crate) path: String,
    pub(crate) signature: String,
    pub(crate) body: String,
    pub(crate) acknowledged: bool,
}

impl Received {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn kind(&self) -> String {
        text(&self.event()["type"])
    }
}

#[derive(Default)]
struct Mail {
    received: Vec<Received>,
    refusals: usize,
}

/// Listens to webhooks, and refuses some of them if it is told to.
pub(crate) struct Inbox {
    url: String,
    mail: Arc<Mutex<Mail>>,
    count: watch::Receiver<usize>,
}

#[derive(Clone)]
struct Letterbox {
    mail: Arc<Mutex<Mail>>,
    count: watch::Sender<usize>,
}

#[handler]
async fn receive(request: &Request, body: String, letterbox: Data<&Letterbox>) -> StatusCode {
    let mut mail = letterbox.mail.lock().unwrap();
    let acknowledged = mail.refusals == 0;
    mail.refusals = mail.refusals.saturating_sub(1);
    mail.received.push(Received {
        path: request.uri().path().to_owned(),
        signature: request.header("stripe-signature").unwrap_or_default().to_owned(),
        body,
        acknowledged,
    });
    letterbox.count.send_replace(mail.received.len());
    if acknowledged { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

impl Inbox {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mail = Arc::new(Mutex::new(Mail::default()));
        let (sender, count) = watch::channel(0);
        let letterbox = Letterbox { mail: Arc::clone(&mail), count: sender };
        let app = Route::new().at("/*path", receive).data(letterbox).map_to_response().boxed();
        let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
        tokio::spawn(Server::new_with_acceptor(acceptor).run(app));
        Self { url, mail, count }
    }

    pub(crate) fn endpoints(&self) -> Endpoints {
        let endpoint = |path: &str, secret: &str| {
            Some(Endpoint { url: format!("{}/{path}", self.url), secret: secret.to_owned() })
        };
        Endpoints {
            platform: endpoint("platform", PLATFORM_SECRET),
            connect: endpoint("connect", CONNECT_SECRET),
        }
    }

    /// Does not acknowledge the next webhooks, as many as this.
    pub(crate) fn refuse(&self, refusals: usize) {
        self.mail.lock().unwrap().refusals = refusals;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.mail.lock().unwrap().received.clone()
    }

    /// Waits until what was received is enough.
    pub(crate) async fn until(&self, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut count = self.count.clone();
        let waiting = async {
            loop {
                let received = self.received();
                if enough(&received) {
                    return received;
                }
                count.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(received) => received,
            Err(_) => panic!(
                "still waiting after {:?}",
                self.received().iter().map(Received::kind).collect::<Vec<_>>()
            ),
        }
    }

    /// Waits for an event of this type.
    pub(crate) async fn until_kind(&self, kind: &str) -> Received {
        let received = self.until(|all| all.iter().any(|one| one.kind() == kind)).await;
        received.into_iter().find(|one| one.kind() == kind).unwrap()
    }
}
