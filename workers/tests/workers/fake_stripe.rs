//! A Stripe of a few lines: it answers with the examples of Stripe's own documentation, changed a little, and
//! remembers what it was asked.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `POST /v1/customers`
    pub what: String,
    pub idempotency_key: Option<String>,
    /// The form, or the query, decoded: `metadata[sluice_handle]=hndl_…`.
    pub form: Vec<(String, String)>,
}

impl Asked {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The answer to a request: its status and body.
pub type Answers = Arc<dyn Fn(&Asked) -> (u16, Value) + Send + Sync>;

pub struct FakeStripe {
    pub address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FakeStripe {
    pub async fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let log = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, answers.clone(), log.clone()));
            }
        });
        Self { address, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn last(&self) -> Asked {
        self.asked().pop().expect("something was asked")
    }
}

/// Stripe's own example of an object, with some fields otherwise.
pub fn example(name: &str, changes: &Value) -> Value {
    let examples: Value = serde_json::from_str(include_str!("../fixtures/billing.json")).unwrap();
    let mut object = examples[name].clone();
    for (field, value) in changes.as_object().unwrap() {
        object[field] = value.clone();
    }
    object
}

pub fn list(data: Vec<Value>) -> Value {
    json!({ "object": "list", "data": data, "has_more": false, "url": "/v1/list" })
}

/// One request, one answer.
async fn answer(stream: TcpStream, answers: Answers, log: Arc<Mutex<Vec<Asked>>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let what = line.rsplit_once(' ')?.0.to_owned();
    let (mut key, mut length) = (None, 0);
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("idempotency-key") => {
                key = Some(value.to_owned());
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok()?;
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (what, query) = what.split_once('?').unwrap_or((&what, ""));
    let body = [query.as_bytes(), &body].concat();
    let form = url::form_urlencoded::parse(&body);
    let form = form.map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
    let asked = Asked { what: what.to_owned(), idempotency_key: key, form };
    let (status, json) = answers(&asked);
    log.lock().unwrap().push(asked);
    let body = json.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
