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
