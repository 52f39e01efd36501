//! Several writes in one round trip.
//!
//! A batch of the engine's writes to half a dozen tables, and going back and forth costs more than writing.
//! On PostgreSQL the writes become one statement (`WITH … AS (UPDATE …), … AS (INSERT …) SELECT …`), so they
//! must touch different tables and need nothing from each other. On SQLite, which has no way to go, they are
//! made one after the other.

use sea_orm::{ConnectionTrait, DbErr, Statement, Value};

use crate::{database::Dialect, statement::execute};

/// Writes that are made together.
pub struct Together {
    dialect: Dialect,
    writes: Vec<Write>,
    bound: usize,
}

struct Write {
    sql: String,
    values: Vec<Value>,
}

/// Which of the writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

/// How many rows each write touched.
#[derive(Debug)]
pub struct Touched(Vec<u64>);

impl Touched {
    /// The rows that a write touched.
    pub fn by(&self, place: Place) -> u64 {
        self.0.get(place.0).copied().unwrap_or_default()
    }
}

impl Together {
    /// Nothing so far.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, writes: Vec::new(), bound: 0 }
    }

    /// The dialect to write in.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The number of the next write's first placeholder.
    pub fn first(&self) -> usize {
        match self.dialect {
            Dialect::Postgres => self.bound + 1,
            Dialect::Sqlite => 1,
        }
    }

    /// Adds a write without a RETURNING clause, whose placeholders begin at [`first`](Self::first).
    pub fn add(&mut self, sql: String, values: Vec<Value>) -> Place {
        self.bound += values.len();
        self.writes.push(Write { sql, values });
        Place(self.writes.len() - 1)
    }

    /// Makes the writes.
    pub async fn execute(self, db: &impl ConnectionTrait) -> Result<Touched, DbErr> {
        if self.writes.is_empty() {
            return Ok(Touched(Vec::new()));
        }
        match self.dialect {
            Dialect::Postgres => self.at_once(db).await,
            Dialect::Sqlite => {
                let mut touched = Vec::with_capacity(self.writes.len());
                for write in self.writes {
                    touched.push(execute(db, &write.sql, write.values).await?);
                }
                Ok(Touched(touched))
            }
        }
    }

    async fn at_once(self, db: &impl ConnectionTrait) -> Result<Touched, DbErr> {
        let writes = self.writes.iter().enumerate();
        let parts: Vec<_> =
            writes.map(|(n, write)| format!("w{n} AS ({} RETURNING 1)", write.sql)).collect();
        let counts: Vec<_> =
            (0..parts.len()).map(|n| format!("(SELECT count(*) FROM w{n})")).collect();
        let sql = format!("WITH {} SELECT {}", parts.join(", "), counts.join(", "));
        let values: Vec<_> = self.writes.into_iter().flat_map(|write| write.values).collect();
        let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
        let row = db.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("counts of writes".to_owned()))?;
        let touched = (0..counts.len()).map(|n| {
            let count: i64 = row.try_get_by_index(n)?;
            Ok(count.unsigned_abs())
        });
        Ok(Touched(touched.collect::<Result<_, DbErr>>()?))
    }
}
