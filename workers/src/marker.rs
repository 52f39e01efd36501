//! Markers: telling the outside that a page is on sale, or no longer.

use std::path::PathBuf;

use async_trait::async_trait;
use engine::{Perform, Task, Trouble};
use entities::{Database, handle, page};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use url::Url;
use workflows::{
    effect::{Answer, Effect, Failure, Marker},
    id::PageId,
};

/// Where markers go.
#[derive(Clone, Debug)]
pub enum MarkerTarget {
    /// One JSON file for each page: the embedded default.
    Directory(PathBuf),
    /// A PUT of the same JSON to this address with the page's id appended.
    Url(Url),
}

/// Performs marker syncs.
pub struct MarkerPerformer {
    database: Database,
    target: MarkerTarget,
    client: reqwest::Client,
    /// Held while a file is compared and replaced.
    writing: Mutex<()>,
}

/// What the outside is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    page: PageId,
    handle: String,
    slug: String,
    version: i32,
    marker: Marker,
}

impl MarkerPerformer {
    /// A performer that is ready.
    pub fn new(database: Database, target: MarkerTarget) -> Self {
        Self { database, target, client: reqwest::Client::new(), writing: Mutex::new(()) }
    }

    async fn told(&self, page: PageId, version: i32, marker: Marker) -> Result<Told, Trouble> {
        let db = self.database.read();
        let passing = |error: sea_orm::DbErr| Trouble::Transient {
            retry_after: None,
            message: error.to_string(),
        };
        let row = page::find_any_handle(db, page.0).await.map_err(passing)?;
        let row = row.ok_or_else(|| gone("the page"))?;
        let handle = handle::find(db, row.handle_id).await.map_err(passing)?;
        let handle = handle.ok_or_else(|| gone("the handle"))?;
        Ok(Told { page, handle: handle.name, slug: row.slug, version, marker })
    }

    /// An older version never replaces a newer one: the same marker may be written late.
    async fn write(&self, directory: &std::path::Path, told: &Told) -> std::io::Result<()> {
        let _alone = self.writing.lock().await;
        tokio::fs::create_dir_all(directory).await?;
        let path = directory.join(format!("{}.json", told.page));
        if let Ok(stored) = tokio::fs::read(&path).await
            && let Ok(stored) = serde_json::from_slice::<Told>(&stored)
            && stored.version > told.version
        {
            return Ok(());
        }
        let draft = directory.join(format!("{}.{}.draft", told.page, told.version));
        tokio::fs::write(&draft, serde_json::to_vec_pretty(told)?).await?;
        tokio::fs::rename(&draft, &path).await
    }

    async fn put(&self, target: &Url, key: &str, told: &Told) -> Result<Answer, Trouble> {
        let address = format!("{}/{}", target.as_str().trim_end_matches('/'), told.page);
        let request = self.client.put(address).header("idempotency-key", key).json(told);
        let passing = |message: String| Trouble::Transient { retry_after: None, message };
        let response = request.send().await.map_err(|error| passing(error.to_string()))?;
        match response.status() {
            status if status.is_success() => Ok(Answer::MarkerSynced),
            status if status.is_client_error() && status.as_u16() != 429 => {
                let message = format!("the marker's address answered {status}");
                Err(Trouble::Permanent(Failure { code: "marker_refused".to_owned(), message }))
            }
            status => Err(passing(format!("the marker's address answered {status}"))),
        }
    }
}

#[async_trait]
impl Perform for MarkerPerformer {
    async fn perform(&self, task: &Task) -> Result<Answer, Trouble> {
        let Effect::SyncMarker { page, version, marker } = &task.effect else {
            return Err(gone("the marker"));
        };
        let told = self.told(*page, *version, *marker).await?;
        match &self.target {
            MarkerTarget::Url(target) => self.put(target, &task.idempotency_key(), &told).await,
            MarkerTarget::Directory(directory) => {
                self.write(directory, &told).await.map_err(|error| Trouble::Transient {
                    retry_after: None,
                    message: format!("{}: {error}", directory.display()),
                })?;
                Ok(Answer::MarkerSynced)
            }
        }
    }

    /// Telling twice is telling once.
    async fn find(&self, task: &Task) -> Result<Option<Answer>, Trouble> {
        self.perform(task).await.map(Some)
    }
}

fn gone(what: &str) -> Trouble {
    let message = format!("{what} is gone");
    Trouble::Permanent(Failure { code: "not_found".to_owned(), message })
}
