//! The two forms of an answer about earnings: an object, or a table for spreadsheets.

use std::collections::BTreeMap;

use entities::earnings::Figures;
use poem::{
    IntoResponse, Request, Response,
    http::{StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON, Type},
};
use uuid::Uuid;
use workflows::{id::PageId, money::Currency};

use crate::{
    earnings::{Earnings, Totals},
    problem::Problem,
};

const CSV: &str = "text/csv";
const JSON: &str = "application/json";

/// What the caller would rather have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An object.
    Json,
    /// A table.
    Csv,
}

impl Form {
    /// As `Accept` says: a table only where it is named, and not liked less than JSON.
    /// <https://www.rfc-editor.org/rfc/rfc9110#name-accept>
    pub fn of(request: &Request) -> Self {
        let accept = request.headers().get_all(header::ACCEPT).iter();
        let accept: Vec<_> = accept.filter_map(|value| value.to_str().ok()).collect();
        Self::accepted(&accept.join(","))
    }

    fn accepted(accept: &str) -> Self {
        let named: Vec<_> = accept.split(',').map(Liked::read).collect();
        let first = |name: &str| {
            named.iter().enumerate().find(|(_, liked)| liked.name.eq_ignore_ascii_case(name))
        };
        let (csv, json) = (first(CSV), first(JSON));
        match (csv, json) {
            (Some((_, csv)), _) if csv.weight <= 0.0 => Self::Json,
            (Some((place, csv)), Some((other, json))) => {
                let earlier = csv.weight == json.weight && place < other;
                if csv.weight > json.weight || earlier { Self::Csv } else { Self::Json }
            }
            (Some(_), None) => Self::Csv,
            (None, _) => Self::Json,
        }
    }
}

/// A media type, and how much it is liked.
struct Liked<'a> {
    name: &'a str,
    weight: f32,
}

impl<'a> Liked<'a> {
    fn read(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        Self { name, weight: weight.and_then(|weight| weight.parse().ok()).unwrap_or(1.0) }
    }
}

/// The earnings in one of two forms.
pub enum EarningsAnswer {
    /// As an object.
    Json(Box<Earnings>),
    /// As a table.
    Csv(Table),
}

/// Earnings for spreadsheets.
pub struct Table {
    handle: String,
    text: Vec<u8>,
}

const COLUMNS: [&str; 12] = [
    "pageId",
    "pageSlug",
    "campaignId",
    "currency",
    "grossCents",
    "platformFeeCents",
    "processorFeeCents",
    "refundedCents",
    "disputedCents",
    "netCents",
    "pendingSettlementCents",
    "availableCents",
];

impl Table {
    /// A row for each page, campaign and currency, or those of one currency.
    pub fn of(
        handle: &str,
        figures: &[Figures],
        asked: Option<Currency>,
        slugs: &BTreeMap<Uuid, String>,
    ) -> Result<Self, Problem> {
        let asked = asked.map(|currency| currency.to_string());
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(COLUMNS).map_err(Problem::internal)?;
        for row in figures.iter().filter(|row| asked.as_ref().is_none_or(|c| row.currency == *c)) {
            let mut totals = Totals::default();
            totals.add(row);
            let slug = slugs.get(&row.page_id).map_or("", String::as_str);
            let texts = [
                PageId(row.page_id).to_string(),
                guarded(slug),
                guarded(&row.campaign),
                row.currency.clone(),
            ];
            let amounts = [
                totals.gross_cents,
                totals.platform_fee_cents,
                totals.processor_fee_cents,
                totals.refunded_cents,
                totals.disputed_cents,
                totals.net_cents,
                totals.pending_settlement_cents,
                totals.available_cents,
            ];
            let cells = texts.into_iter().chain(amounts.map(|amount| amount.to_string()));
            table.write_record(cells).map_err(Problem::internal)?;
        }
        let text = table.into_inner().map_err(Problem::internal)?;
        Ok(Self { handle: handle.to_owned(), text })
    }
}

/// A text that no spreadsheet takes for a formula.
/// <https://owasp.org/www-community/attacks/CSV_Injection>
fn guarded(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

impl IntoResponse for EarningsAnswer {
    fn into_response(self) -> Response {
        let answer = Response::builder().status(StatusCode::OK).header(header::VARY, "Accept");
        match self {
            Self::Json(earnings) => {
                answer.content_type(Json::<Earnings>::CONTENT_TYPE).body(earnings.to_json_string())
            }
            // A handle's name is made of letters, digits and hyphens.
            Self::Csv(table) => answer
                .content_type("text/csv; charset=utf-8; header=present")
                .header(
                    header::CONTENT_DISPOSITION,
                    format!("attachment; filename=\"earnings-{}.csv\"", table.handle),
                )
                .body(table.text),
        }
    }
}

impl ApiResponse for EarningsAnswer {
    fn meta() -> MetaResponses {
        let content = vec![
            MetaMediaType {
                content_type: Json::<Earnings>::CONTENT_TYPE,
                schema: Earnings::schema_ref(),
            },
            MetaMediaType { content_type: CSV, schema: String::schema_ref() },
        ];
        let answer = MetaResponse {
            description: "What was asked for.",
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![answer] }
    }

    fn register(registry: &mut Registry) {
        Earnings::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_for_whoever_asks_for_one() {
        for (accept, form) in [
            ("", Form::Json),
            ("*/*", Form::Json),
            ("application/json", Form::Json),
            ("text/csv", Form::Csv),
            ("Text/CSV; header=present", Form::Csv),
            ("text/csv, */*;q=0.1", Form::Csv),
            ("text/csv;q=0, */*", Form::Json),
            ("application/json, text/csv", Form::Json),
            ("text/csv, application/json", Form::Csv),
            ("application/json;q=0.5, text/csv", Form::Csv),
            ("text/csv;q=0.5, application/json", Form::Json),
        ] {
            assert_eq!(Form::accepted(accept), form, "{accept}");
        }
    }

    #[test]
    fn no_text_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(guarded(text), format!("'{text}"));
        }
        assert_eq!(guarded("spring-sale"), "spring-sale");
    }
}
