//! Group buys that collect, visitors who are signed in, and interests by the hundred thousand.

use entities::{rows::Rows, statement::execute};
use sea_orm::ConnectionTrait;
use uuid::Uuid;
use workflows::{Timestamp, keyed_hash::Keys};

use crate::installation::{Installation, SECRET};

const CHUNK: usize = 5_000;

pub fn handle() -> Uuid {
    Uuid::from_u128((0x0199 << 112) | (7 << 76) | (2 << 62) | 1)
}

pub fn group_buy(n: usize) -> Uuid {
    Uuid::from_u128((0x0199 << 112) | (7 << 76) | (2 << 62) | (1 << 48) | n as u128)
}

/// Group buys `drop-0` and on, of the handle `bench`, that are never filled.
pub async fn group_buys(installation: &Installation, count: usize) {
    let (db, now) = (installation.engine.database(), installation.engine.clock().local_millis());
    let sql = "INSERT INTO handle (id, name, display_name, owner, created_at) VALUES ($1, 'bench', 'Bench', 'bench', $2)";
    execute(db.write(), sql, vec![handle().into(), now.into()]).await.unwrap();
    let rows = Rows::new()
        .id("id", (0..count).map(group_buy))
        .text("slug", (0..count).map(|n| format!("drop-{n}")));
    let sql = format!(
        "INSERT INTO group_buy (id, handle_id, slug, title, description, target_quantity, visitor_limit, status, \
         interest_quantity, interest_count, last_position, published_at, created_at) \
         SELECT id, $1, slug, 'A drop', '', 1000000000, 1000, 'COLLECTING', 0, 0, 0, $2, $2 FROM {} WHERE true",
        rows.source(db.dialect(), 3)
    );
    let mut values = vec![handle().into(), now.into()];
    values.extend(rows.values(db.dialect()));
    execute(db.write(), &sql, values).await.unwrap();
}

/// Signed-in visitors: the tokens of their sessions.
pub async fn visitors(installation: &Installation, count: usize) -> Vec<String> {
    let (db, now) = (installation.engine.database(), installation.engine.clock().local_millis());
    let keys = Keys::parse(SECRET).expect("a secret");
    let mut tokens = Vec::with_capacity(count);
    while tokens.len() < count {
        let chunk: Vec<_> = (tokens.len()..count.min(tokens.len() + CHUNK))
            .map(|n| (Uuid::now_v7(), format!("visitor-{n}@example.test"), format!("token-{n}")))
            .collect();
        let rows = Rows::new()
            .id("id", chunk.iter().map(|(id, ..)| *id))
            .text("email", chunk.iter().map(|(_, email, _)| email.as_str()));
        let sql = format!(
            "INSERT INTO visitor (id, email, created_at) SELECT id, email, {now} FROM {} WHERE true",
            rows.source(db.dialect(), 1)
        );
        execute(db.write(), &sql, rows.values(db.dialect())).await.unwrap();
        let rows = Rows::new()
            .id("id", chunk.iter().map(|(id, ..)| *id))
            .text("hash", chunk.iter().map(|(.., token)| keys.hash("visitor_session", token)));
        let sql = format!(
            "INSERT INTO visitor_session (id, visitor_id, token_hash, created_at, last_seen_at, expires_at) \
             SELECT id, id, hash, {now}, {now}, {} FROM {} WHERE true",
            now + Timestamp::DAY,
            rows.source(db.dialect(), 1)
        );
        execute(db.write(), &sql, rows.values(db.dialect())).await.unwrap();
        tokens.extend(chunk.into_iter().map(|(.., token)| token));
    }
    tokens
}

/// Lets the n-th group buy grow by so many interests of visitors who are not seen again.
pub async fn grow(installation: &Installation, nth: usize, by: usize) {
    let (db, hot) = (installation.engine.database(), group_buy(nth));
    let mut grown = 0;
    while grown < by {
        let chunk = grown..by.min(grown + CHUNK);
        let rows = Rows::new()
            .number("n", chunk.clone().map(|n| n as i64 + 1))
            .id("visitor_id", chunk.clone().map(|_| Uuid::now_v7()));
        let sql = format!(
            "INSERT INTO interest (group_buy_id, position, visitor_id, quantity, created_at) \
             SELECT g.id, g.last_position - {grown} + t.n, t.visitor_id, 1, 0 FROM {}, group_buy g WHERE g.id = $1",
            rows.source(db.dialect(), 2)
        );
        let mut values = vec![hot.into()];
        values.extend(rows.values(db.dialect()));
        execute(db.write(), &sql, values).await.unwrap();
        let sql = format!(
            "UPDATE group_buy SET interest_quantity = interest_quantity + {0}, interest_count = interest_count + {0}, \
             last_position = last_position + {0} WHERE id = $1",
            chunk.len()
        );
        execute(db.write(), &sql, vec![hot.into()]).await.unwrap();
        grown = chunk.end;
    }
    db.write().execute_unprepared("ANALYZE").await.unwrap();
}
