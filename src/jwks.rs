//! Where the public keys of an identity provider are read: a file, or an address.

use std::{path::PathBuf, sync::Arc, time::Duration};

use api::KeySource;
use async_trait::async_trait;
use url::Url;

use crate::{
    Fatal,
    settings::{JwksAddress, SettingsError},
};

/// How long reading a key set may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// No key set is larger, in bytes.
const LARGEST: usize = 1024 * 1024;

/// Where to read the key set. A file is read now: what is wrong with it is an error at the start. An address that
/// cannot be reached now is none: it is asked when a token needs it.
pub fn source(address: Option<JwksAddress>) -> Result<Option<Arc<dyn KeySource>>, Fatal> {
    let unusable = |why| SettingsError::Unusable { variable: "SLUICE_JWKS", why };
    match address {
        None => Ok(None),
        Some(JwksAddress::File(path)) => {
            let set = std::fs::read_to_string(&path)
                .map_err(|error| unusable(format!("{}: {error}", path.display())))?;
            api::check_key_set(&set)
                .map_err(|error| unusable(format!("{}: {error}", path.display())))?;
            Ok(Some(Arc::new(File(path))))
        }
        Some(JwksAddress::Url(url)) => {
            // Keys come from where they are configured to come from, and from nowhere else.
            let client = reqwest::Client::builder()
                .timeout(PATIENCE)
                .redirect(reqwest::redirect::Policy::none())
                .build()?;
            Ok(Some(Arc::new(Address { url, client })))
        }
    }
}

struct File(PathBuf);

#[async_trait]
impl KeySource for File {
    async fn fetch(&self) -> Result<String, String> {
        let path = self.0.display();
        tokio::fs::read_to_string(&self.0).await.map_err(|error| format!("{path}: {error}"))
    }
}

struct Address {
    url: Url,
    client: reqwest::Client,
}

#[async_trait]
impl KeySource for Address {
    async fn fetch(&self) -> Result<String, String> {
        self.read().await.map_err(|error| format!("{}: {error}", self.url))
    }
}

impl Address {
    async fn read(&self) -> Result<String, Fatal> {
        let mut answer = self.client.get(self.url.clone()).send().await?.error_for_status()?;
        if answer.status().is_redirection() {
            return Err(format!("it answered {}", answer.status()).into());
        }
        let mut set = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            set.extend_from_slice(&chunk);
            if set.len() > LARGEST {
                return Err("it is no key set: it is too large".into());
            }
        }
        Ok(String::from_utf8(set)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// What comes of an address that answers one request so.
    async fn fetched(answer: String) -> Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap()).parse().unwrap();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _request = stream.read(&mut [0; 4096]).await.unwrap();
            // Whoever had enough hangs up.
            let _hung_up = stream.write_all(answer.as_bytes()).await;
        });
        let source = source(Some(JwksAddress::Url(url))).unwrap().unwrap();
        let fetched = source.fetch().await;
        served.await.unwrap();
        fetched
    }

    #[tokio::test]
    async fn keys_come_from_the_address_and_from_nowhere_else() {
        let answer = |head: &str, body: &str| {
            let length = body.len();
            format!(
                "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
        };
        assert_eq!(fetched(answer("200 OK", "{\"keys\":[]}")).await.unwrap(), "{\"keys\":[]}");
        let elsewhere = "302 Found\r\nlocation: http://127.0.0.1:9/keys";
        assert!(fetched(answer(elsewhere, "")).await.unwrap_err().contains("302"));
        assert!(fetched(answer("500 Oh", "")).await.unwrap_err().contains("500"));
        let huge = "x".repeat(LARGEST + 1);
        assert!(fetched(answer("200 OK", &huge)).await.unwrap_err().contains("too large"));
    }
}
