//! Lists: newest first, `limit`, `starting_after`, `ending_before`, `created` and `has_more`
//! (<https://docs.stripe.com/api/pagination>).

use std::ops::Range;

use serde_json::{Value, json};

use crate::api::Call;
use crate::error::ApiError;
use crate::form::Form;
use crate::state::State;
use crate::table::{Record, Table};

const DEFAULT_LIMIT: i64 = 10;
const MAXIMUM_LIMIT: i64 = 100;

/// Answers a list request with the rows of the caller's account that pass the filter.
pub(crate) fn respond<T: Record>(
    state: &State,
    call: &Call,
    table: &Table<T>,
    keep: impl Fn(&T) -> bool,
) -> Result<Value, ApiError> {
    page(state, call, table, |window| window, keep)
}

/// The same when only a few rows come into question: no need to look through all of them.
pub(crate) fn respond_among<T: Record>(
    state: &State,
    call: &Call,
    table: &Table<T>,
    ids: impl IntoIterator<Item = impl AsRef<str>>,
    keep: impl Fn(&T) -> bool,
) -> Result<Value, ApiError> {
    let mut positions: Vec<usize> =
        ids.into_iter().filter_map(|id| table.position(id.as_ref())).collect();
    positions.sort_unstable();
    let within = |window: Range<usize>| {
        positions.retain(|position| window.contains(position));
        positions.into_iter()
    };
    page(state, call, table, within, keep)
}

/// One page of those rows in the window between the cursors that are candidates and pass.
fn page<T: Record, C: DoubleEndedIterator<Item = usize>>(
    state: &State,
    call: &Call,
    table: &Table<T>,
    candidates: impl FnOnce(Range<usize>) -> C,
    keep: impl Fn(&T) -> bool,
) -> Result<Value, ApiError> {
    let form = &call.form;
    let limit = limit(form)?;
    let created = created(form)?;
    let cursor = |name: &str| match form.text(name) {
        None => Ok(None),
        Some(id) => table
            .position(id)
            .map(Some)
            .ok_or_else(|| ApiError::no_such_reference(T::NOUN, id, name)),
    };
    let (after, before) = (cursor("starting_after")?, cursor("ending_before")?);

    let start = table.created_before(created.start);
    let end = table.created_before(created.end);
    let window =
        start.max(before.map_or(0, |position| position + 1))..end.min(after.unwrap_or(usize::MAX));
    let visible = |position: usize| {
        table.at(position).filter(|row| row.account() == call.account() && keep(row))
    };
    let candidates = candidates(window);
    let mut rows: Vec<&T> = match before {
        Some(_) => candidates.filter_map(visible).take(limit + 1).collect(),
        None => candidates.rev().filter_map(visible).take(limit + 1).collect(),
    };
    let rest = Rest::of(rows.len(), limit);
    rows.truncate(limit);
    if before.is_some() {
        rows.reverse();
    }
    let rows = rows.into_iter().map(|row| row.render(state)).collect();
    Ok(list(rows, rest, &call.path))
}

/// Whether a list goes on beyond what is shown of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    Nothing,
    More,
}

impl Rest {
    /// What is left of so many when at most so many are shown.
    pub(crate) fn of(all: usize, shown: usize) -> Self {
        if all > shown { Self::More } else { Self::Nothing }
    }
}

/// Stripe's list object.
pub(crate) fn list(data: Vec<Value>, rest: Rest, url: &str) -> Value {
    json!({ "object": "list", "data": data, "has_more": rest == Rest::More, "url": url })
}

/// Whether a filter is not given, or given with this value.
pub(crate) fn matches(form: &Form, name: &str, value: Option<&str>) -> bool {
    form.text(name).is_none_or(|wanted| value == Some(wanted))
}

fn limit(form: &Form) -> Result<usize, ApiError> {
    let limit = form.integer("limit")?.unwrap_or(DEFAULT_LIMIT);
    match usize::try_from(limit) {
        Ok(limit @ 1..=100) => Ok(limit),
        _ => Err(ApiError::invalid(
            "limit",
            format!("This value must be between 1 and {MAXIMUM_LIMIT}."),
        )
        .with_code("parameter_invalid_integer")),
    }
}

/// The `created` filter as a half-open range of seconds since 1970: an exact instant, or any of
/// `gt`, `gte`, `lt` and `lte`.
fn created(form: &Form) -> Result<Range<i64>, ApiError> {
    if let Some(instant) = form.integer("created")? {
        return Ok(instant..instant.saturating_add(1));
    }
    let bound = |name: &str| form.integer(&format!("created[{name}]"));
    let starts = [bound("gte")?, bound("gt")?.map(|gt| gt.saturating_add(1))];
    let ends = [bound("lt")?, bound("lte")?.map(|lte| lte.saturating_add(1))];
    let start = starts.into_iter().flatten().max().unwrap_or(i64::MIN);
    let end = ends.into_iter().flatten().min().unwrap_or(i64::MAX);
    Ok(start..end)
}
