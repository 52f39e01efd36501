//! Many rows in one statement of fixed text: `UNNEST` of arrays on PostgreSQL, `json_each` on SQLite.
//!
//! The text depends on the columns only, never on how many rows there are, so that both databases prepare it
//! once, and no limit on the number of bound values is ever met.

use sea_orm::{Value, sea_query::ArrayType};
use serde_json::json;
use uuid::Uuid;

use crate::database::Dialect;

/// Stands for NULL inside an array of numbers, which cannot hold one.
const NO_NUMBER: i64 = i64::MIN;

enum Cells {
    Text(Vec<String>),
    OptionalText(Vec<String>),
    Number(Vec<i64>),
    OptionalNumber(Vec<i64>),
    Id(Vec<Uuid>),
    OptionalId(Vec<Uuid>),
    Bytes(Vec<Vec<u8>>),
}

/// Rows to write, column by column. All columns have the same length.
#[derive(Default)]
pub struct Rows {
    columns: Vec<(&'static str, Cells)>,
}

impl Rows {
    /// Without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// A column of text.
    pub fn text(self, name: &'static str, cells: impl Iterator<Item = impl Into<String>>) -> Self {
        self.with(name, Cells::Text(cells.map(Into::into).collect()))
    }

    /// A column of text in which the empty text stands for NULL.
    pub fn optional_text(
        self,
        name: &'static str,
        cells: impl Iterator<Item = Option<impl Into<String>>>,
    ) -> Self {
        let cells = cells.map(|cell| cell.map_or_else(String::new, Into::into)).collect();
        self.with(name, Cells::OptionalText(cells))
    }

    /// A column of numbers.
    pub fn number(self, name: &'static str, cells: impl Iterator<Item = impl Into<i64>>) -> Self {
        self.with(name, Cells::Number(cells.map(Into::into).collect()))
    }

    /// A column of numbers or NULL.
    pub fn optional_number(
        self,
        name: &'static str,
        cells: impl Iterator<Item = Option<i64>>,
    ) -> Self {
        let cells = cells.map(|cell| cell.unwrap_or(NO_NUMBER)).collect();
        self.with(name, Cells::OptionalNumber(cells))
    }

    /// A column of ids.
    pub fn id(self, name: &'static str, cells: impl Iterator<Item = Uuid>) -> Self {
        self.with(name, Cells::Id(cells.collect()))
    }

    /// A column of ids or NULL.
    pub fn optional_id(
        self,
        name: &'static str,
        cells: impl Iterator<Item = Option<Uuid>>,
    ) -> Self {
        let cells = cells.map(|cell| cell.unwrap_or(Uuid::nil())).collect();
        self.with(name, Cells::OptionalId(cells))
    }

    /// A column of bytes.
    pub fn bytes(self, name: &'static str, cells: impl Iterator<Item = Vec<u8>>) -> Self {
        self.with(name, Cells::Bytes(cells.collect()))
    }

    fn with(mut self, name: &'static str, cells: Cells) -> Self {
        self.columns.push((name, cells));
        self
    }

    /// The rows as a table `t` for a FROM clause. The first value is bound at placeholder `first`.
    pub fn source(&self, dialect: Dialect, first: usize) -> String {
        let columns: Vec<_> = self
            .columns
            .iter()
            .enumerate()
            .map(|(n, (name, cells))| format!("{} AS {name}", cells.cell(dialect, n, name)))
            .collect();
        let columns = columns.join(", ");
        match dialect {
            Dialect::Postgres => {
                let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
                let arrays: Vec<_> = self
                    .columns
                    .iter()
                    .enumerate()
                    .map(|(n, (_, cells))| format!("${}::{}[]", first + n, cells.postgres_type()))
                    .collect();
                format!(
                    "(SELECT {columns} FROM UNNEST({}) AS u({})) AS t",
                    arrays.join(", "),
                    names.join(", ")
                )
            }
            Dialect::Sqlite => format!("(SELECT {columns} FROM json_each(${first})) AS t"),
        }
    }

    /// The values to bind, in order.
    pub fn values(self, dialect: Dialect) -> Vec<Value> {
        match dialect {
            Dialect::Postgres => self.columns.into_iter().map(|(_, cells)| cells.array()).collect(),
            Dialect::Sqlite => vec![self.json().to_string().into()],
        }
    }

    /// An array of rows, each an array of cells.
    fn json(&self) -> serde_json::Value {
        let length = self.columns.first().map_or(0, |(_, cells)| cells.len());
        (0..length)
            .map(|row| {
                self.columns.iter().map(|(_, cells)| cells.json(row)).collect::<serde_json::Value>()
            })
            .collect()
    }
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Self::Text(cells) | Self::OptionalText(cells) => cells.len(),
            Self::Number(cells) | Self::OptionalNumber(cells) => cells.len(),
            Self::Id(cells) | Self::OptionalId(cells) => cells.len(),
            Self::Bytes(cells) => cells.len(),
        }
    }

    fn postgres_type(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::OptionalText(_) => "text",
            Self::Number(_) | Self::OptionalNumber(_) => "bigint",
            Self::Id(_) | Self::OptionalId(_) => "uuid",
            Self::Bytes(_) => "bytea",
        }
    }

    /// How one cell is read out of a row.
    fn cell(&self, dialect: Dialect, n: usize, name: &str) -> String {
        let raw = match (dialect, self) {
            (Dialect::Postgres, _) => name.to_owned(),
            (Dialect::Sqlite, Self::Id(_) | Self::OptionalId(_) | Self::Bytes(_)) => {
                format!("unhex(value ->> {n})")
            }
            (Dialect::Sqlite, _) => format!("value ->> {n}"),
        };
        match (dialect, self) {
            (Dialect::Postgres, Self::OptionalText(_)) => format!("NULLIF({raw}, '')"),
            (Dialect::Postgres, Self::OptionalNumber(_)) => format!("NULLIF({raw}, {NO_NUMBER})"),
            (Dialect::Postgres, Self::OptionalId(_)) => {
                format!("NULLIF({raw}, '00000000-0000-0000-0000-000000000000'::uuid)")
            }
            _ => raw,
        }
    }

    fn array(self) -> Value {
        let (kind, cells): (ArrayType, Vec<Value>) = match self {
            Self::Text(cells) | Self::OptionalText(cells) => {
                (ArrayType::String, cells.into_iter().map(Value::from).collect())
            }
            Self::Number(cells) | Self::OptionalNumber(cells) => {
                (ArrayType::BigInt, cells.into_iter().map(Value::from).collect())
            }
            Self::Id(cells) | Self::OptionalId(cells) => {
                (ArrayType::Uuid, cells.into_iter().map(Value::from).collect())
            }
            Self::Bytes(cells) => (ArrayType::Bytes, cells.into_iter().map(Value::from).collect()),
        };
        Value::Array(kind, Some(Box::new(cells)))
    }

    fn json(&self, row: usize) -> serde_json::Value {
        match self {
            Self::Text(cells) => json!(cells[row]),
            Self::OptionalText(cells) if cells[row].is_empty() => json!(null),
            Self::OptionalText(cells) => json!(cells[row]),
            Self::OptionalNumber(cells) if cells[row] == NO_NUMBER => json!(null),
            Self::Number(cells) | Self::OptionalNumber(cells) => json!(cells[row]),
            Self::OptionalId(cells) if cells[row].is_nil() => json!(null),
            Self::Id(cells) | Self::OptionalId(cells) => json!(cells[row].simple().to_string()),
            Self::Bytes(cells) => json!(hex(&cells[row])),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}
