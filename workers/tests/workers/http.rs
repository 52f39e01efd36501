//! An HTTP server of a few lines that answers as it is told and remembers what it was asked.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use url::Url;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `PUT /markers/page_…`
    pub what: String,
    pub idempotency_key: Option<String>,
    pub json: Value,
}

pub struct Http {
    pub url: Url,
    asked: Arc<Mutex<Vec<Asked>>>,
    status: Arc<Mutex<u16>>,
}

impl Http {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let (asked, status) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(Mutex::new(204)));
        let (log, answers) = (asked.clone(), status.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, *answers.lock().unwrap(), log.clone()));
            }
        });
        Self { url, asked, status }
    }

    /// From now on.
    pub fn answers(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    /// What was asked since this was last called.
    pub fn news(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    pub fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().cloned().expect("something was asked")
    }
}

/// One request, one answer.
async fn answer(stream: TcpStream, status: u16, log: Arc<Mutex<Vec<Asked>>>) -> Option<()> {
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
    let json = serde_json::from_slice(&body).unwrap_or_default();
    log.lock().unwrap().push(Asked { what, idempotency_key: key, json });
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
