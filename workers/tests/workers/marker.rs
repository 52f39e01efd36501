//! Markers: the outside knows the newest version in the end, whatever is repeated or late.

use std::path::PathBuf;

use engine::{Perform, Task, Trouble};
use migration::testing::TestDatabase;
use serde_json::{Value, json};
use uuid::Uuid;
use workers::marker::{MarkerPerformer, MarkerTarget};
use workflows::{
    effect::{Answer, Effect, Marker},
    id::PageId,
};

use crate::{http::Http, sim::task, world::World};

async fn world() -> World {
    World::over(TestDatabase::sqlite().await).await
}

fn marker(page: PageId, version: i32, marker: Marker) -> Task {
    task(Effect::SyncMarker { page, version, marker })
}

fn performer(world: &World, target: MarkerTarget) -> MarkerPerformer {
    MarkerPerformer::new(world.engine.database().clone(), target)
}

fn read(directory: PathBuf, page: PageId) -> Value {
    serde_json::from_slice(&std::fs::read(directory.join(format!("{page}.json"))).unwrap()).unwrap()
}

#[tokio::test]
async fn a_file_tells_of_the_newest_version() {
    let world = world().await;
    let directory = world.marker_directory();
    let performer = performer(&world, MarkerTarget::Directory(directory.clone()));
    let told = |version: i32, marker: &str| {
        json!({
            "page": world.page.to_string(), "handle": "ada", "slug": "a-page",
            "version": version, "marker": marker,
        })
    };
    let steps = [
        (1, Marker::Published, told(1, "published")),
        (3, Marker::Unpublished, told(3, "unpublished")),
        // Late: the newer one stays.
        (2, Marker::Published, told(3, "unpublished")),
        (3, Marker::Unpublished, told(3, "unpublished")),
        (4, Marker::Published, told(4, "published")),
    ];
    for (version, state, expected) in steps {
        let answer = performer.perform(&marker(world.page, version, state)).await.unwrap();
        assert_eq!(answer, Answer::MarkerSynced);
        assert_eq!(read(directory.clone(), world.page), expected);
    }
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1, "no drafts are left");
}

#[tokio::test]
async fn an_older_version_never_replaces_a_newer_one_that_is_written_at_the_same_time() {
    let world = world().await;
    let directory = world.marker_directory();
    let performer = performer(&world, MarkerTarget::Directory(directory.clone()));
    for round in 0..30 {
        let page = PageId(Uuid::now_v7());
        world.add_page(page, &format!("page-{round}")).await;
        let (old, new) = (marker(page, 1, Marker::Published), marker(page, 2, Marker::Unpublished));
        let (one, two) = tokio::join!(performer.perform(&old), performer.perform(&new));
        assert_eq!((one, two), (Ok(Answer::MarkerSynced), Ok(Answer::MarkerSynced)));
        assert_eq!(read(directory.clone(), page)["version"], json!(2), "round {round}");
    }
}

#[tokio::test]
async fn a_page_that_is_gone_is_told_of_no_more() {
    let world = world().await;
    let performer = performer(&world, MarkerTarget::Directory(world.marker_directory()));
    let gone = marker(PageId(Uuid::now_v7()), 1, Marker::Published);
    let result = performer.perform(&gone).await;
    assert!(matches!(result, Err(Trouble::Permanent(_))), "{result:?}");
}

#[tokio::test]
async fn an_address_is_told_under_a_key() {
    let (world, http) = (world().await, Http::start().await);
    let performer = performer(&world, MarkerTarget::Url(http.url.join("markers/").unwrap()));
    let task = marker(world.page, 2, Marker::Published);
    for _ in 0..2 {
        assert_eq!(performer.perform(&task).await.unwrap(), Answer::MarkerSynced);
        let asked = http.last();
        assert_eq!(asked.what, format!("PUT /markers/{}", world.page));
        assert_eq!(asked.idempotency_key, Some(task.idempotency_key()));
        let told = json!({
            "page": world.page.to_string(), "handle": "ada", "slug": "a-page",
            "version": 2, "marker": "published",
        });
        assert_eq!(asked.json, told);
    }
}

#[tokio::test]
async fn what_an_address_answers_decides_about_the_next_try() {
    let (world, http) = (world().await, Http::start().await);
    let performer = performer(&world, MarkerTarget::Url(http.url.join("markers/").unwrap()));
    let task = marker(world.page, 1, Marker::Published);
    for (status, permanent) in
        [(500, false), (503, false), (429, false), (404, true), (400, true), (301, false)]
    {
        http.answers(status);
        match performer.perform(&task).await {
            Err(Trouble::Permanent(failure)) if permanent => {
                assert_eq!(failure.code, "marker_refused");
                assert!(failure.message.contains(&status.to_string()), "{failure:?}");
            }
            Err(Trouble::Transient { .. }) if !permanent => {}
            other => panic!("{status}: {other:?}"),
        }
    }
    let nobody = MarkerTarget::Url("http://127.0.0.1:9/".parse().unwrap());
    let result = self::performer(&world, nobody).perform(&task).await;
    assert!(matches!(result, Err(Trouble::Transient { .. })), "{result:?}");
}
