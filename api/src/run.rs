//! Runs: what happens behind an answer, what it waits for, and its timeline.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use entities::{handle, history, operator_case, outbox, run};
use futures::{StreamExt, stream::BoxStream};
use poem::{Request, web::sse::Event};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Header, Path, Query},
    payload::EventStream,
    types::ToJSON,
};
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::{
    id::{
        CheckoutId, DisputeId, GroupBuyId, HandleId, MagicLinkId, PageId, PayoutId, RefundId, RunId,
    },
    workflow::Standing,
};

use crate::{
    answer::Shown,
    auth::Caller,
    codes::Code,
    config::App,
    handle::role,
    moment::{maybe_moment, moment},
    permission::Permission,
    principal::Principal,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// How many lines of a timeline are read at once.
const LINES: u64 = 200;
/// How often a live timeline is read.
const POLL: Duration = Duration::from_millis(500);
/// How long a stream goes on: no longer than its token should be believed.
const LONGEST_STREAM: Duration = Duration::from_secs(300);
/// How often a silent stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A run.
#[derive(Debug, Object)]
#[oai(rename = "Run", rename_all = "camelCase")]
pub struct RunView {
    /// `run_…`
    pub id: String,
    /// Which machine: `checkout`, `connect_onboarding` …
    pub workflow: String,
    /// What the run is about: `co_…`, `page_…`, `hndl_…`
    pub subject: String,
    /// The state's name.
    pub state: String,
    /// Whether it waits for something.
    pub status: RunStatus,
    /// What it waits for; completes the sentence "waiting for …".
    pub waiting_for: Option<String>,
    /// When it goes on by itself, if it does.
    pub waiting_until: Option<OffsetDateTime>,
    /// Whether a person must do something: a dead effect, or an open case.
    pub needs_attention: bool,
    /// Raised by every event.
    pub version: i64,
    /// What it asked of the outside world: the first thousand.
    pub effects: Vec<EffectView>,
    /// What a person must decide, or has decided.
    pub cases: Vec<CaseView>,
    /// Where to read on.
    pub links: RunLinks,
    /// When it was first written to.
    pub created_at: OffsetDateTime,
    /// When it last stepped.
    pub updated_at: OffsetDateTime,
}

/// Whether a run waits for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunStatus {
    /// It waits for something that has a name.
    Active,
    /// It waits for nothing, yet still accepts events.
    Done,
    /// It was called off.
    Cancelled,
}

/// Something that a run asked of the outside world.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct EffectView {
    /// What: `create_checkout_session`, `send_mail` …
    pub kind: String,
    /// `PENDING`, `LEASED`, `DONE`, `DEAD` or `CANCELLED`.
    pub status: String,
    /// How often it was tried.
    pub attempt: i32,
    /// Why the last try failed: in the other side's own words for those who run the platform only.
    pub last_error: Option<String>,
    /// When it is tried (again), while it is pending.
    pub due_at: Option<OffsetDateTime>,
    /// When it was answered.
    pub answered_at: Option<OffsetDateTime>,
}

/// Something that a person must decide.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct CaseView {
    /// What kind of thing.
    pub kind: String,
    /// What happened, and what to do.
    pub detail: String,
    /// `OPEN` or `CLOSED`.
    pub status: String,
    /// When it came up.
    pub created_at: OffsetDateTime,
}

/// Where to read on.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct RunLinks {
    /// The timeline.
    pub history: String,
    /// The timeline, live.
    pub events: String,
}

/// One line of a timeline.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct HistoryLine {
    /// 1, 2, 3 … without gaps.
    pub seq: i64,
    /// What happened.
    pub event: String,
    /// The state before; absent for the first.
    pub from_state: Option<String>,
    /// The state after; absent if the event was refused.
    pub to_state: Option<String>,
    /// Why the event was refused, if it was.
    pub refused: Option<String>,
    /// When.
    pub at: OffsetDateTime,
}

/// A timeline.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct HistoryList {
    /// In the order it happened.
    pub data: Vec<HistoryLine>,
    /// For `cursor`, while there is more.
    pub next_cursor: Option<String>,
}

impl HistoryLine {
    fn of(line: history::History) -> Self {
        Self {
            seq: line.seq,
            event: line.event_name,
            from_state: line.from_state.filter(|state| !state.is_empty()),
            to_state: line.to_state,
            refused: line.refused,
            at: moment(line.at),
        }
    }
}

/// The only door to a run: a member of its handle, or somebody of the platform's.
async fn visible(app: &App, caller: &Principal, id: &str) -> Result<run::Run, Problem> {
    let unknown = || Problem::new(Code::UnknownRun, "there is no such run, or it is another's");
    caller.expect_scope(Permission::RunsRead)?;
    let id: RunId = id.parse().map_err(|_| unknown())?;
    let db = app.engine.database().read();
    let run = run::find_any_handle(db, id.0).await?.ok_or_else(unknown)?;
    if caller.is_operator() {
        return Ok(run);
    }
    let handle = handle::find(db, run.handle_id.ok_or_else(unknown)?).await?;
    let handle = handle.ok_or_else(unknown)?;
    caller.expect_scope_on(Permission::RunsRead, &handle.name).map_err(|_| unknown())?;
    match role(db, handle.id, caller).await? {
        Some(role) if Permission::RunsRead.roles().contains(&role) => Ok(run),
        _ => Err(unknown()),
    }
}

/// A timeline, live.
#[derive(ApiResponse)]
enum Timeline {
    /// The lines as they come.
    #[oai(status = 200)]
    Live(EventStream<BoxStream<'static, HistoryLine>>),
}

refusals!(ReadRun: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownRun);

/// Runs.
pub struct Runs;

#[OpenApi(tag = "Tag::Runs")]
impl Runs {
    /// Read a run
    ///
    /// Its state, what it waits for, what it asked of the outside and how that went.
    #[oai(path = "/v2/runs/:runId", method = "get", operation_id = "getRun")]
    async fn get(
        &self,
        request: &Request,
        caller: Caller,
        /// `run_…`
        #[oai(name = "runId")]
        run_id: Path<String>,
    ) -> Result<Shown<RunView>, Refused<ReadRun>> {
        let app = App::of(request)?;
        let run = visible(app, &caller.0, &run_id.0).await?;
        let db = app.engine.database().read();
        let about = About {
            effects: outbox::of_run(db, run.id).await?,
            has_dead: outbox::has_dead(db, run.id).await?,
            cases: operator_case::of_run(db, run.id).await?,
        };
        Ok(Shown::of(view(app, &caller.0, &run, &about)?))
    }

    /// Read a run's timeline
    #[oai(path = "/v2/runs/:runId/history", method = "get", operation_id = "getRunHistory")]
    async fn history(
        &self,
        request: &Request,
        caller: Caller,
        /// `run_…`
        #[oai(name = "runId")]
        run_id: Path<String>,
        /// `nextCursor` of the list before.
        cursor: Query<Option<i64>>,
    ) -> Result<Shown<HistoryList>, Refused<ReadRun>> {
        let app = App::of(request)?;
        let run = visible(app, &caller.0, &run_id.0).await?;
        let db = app.engine.database().read();
        let mut lines = history::of_run(db, run.id, cursor.0.unwrap_or(0), LINES + 1).await?;
        let more = lines.len() as u64 > LINES;
        lines.truncate(LINES as usize);
        let next_cursor = lines.last().filter(|_| more).map(|line| line.seq.to_string());
        let data = lines.into_iter().map(HistoryLine::of).collect();
        Ok(Shown::of(HistoryList { data, next_cursor }))
    }

    /// Follow a run's timeline
    ///
    /// Server-sent events: one for each line, with its `seq` as the id, so that a broken stream goes on where
    /// it broke. It ends after five minutes: come back with the last line's id.
    #[oai(path = "/v2/runs/:runId/events", method = "get", operation_id = "followRun")]
    async fn events(
        &self,
        request: &Request,
        caller: Caller,
        /// `run_…`
        #[oai(name = "runId")]
        run_id: Path<String>,
        /// The last line that the client has.
        #[oai(name = "Last-Event-ID")]
        last: Header<Option<i64>>,
        /// The same, where this header cannot be set.
        after: Query<Option<i64>>,
    ) -> Result<Timeline, Refused<ReadRun>> {
        let app = App::of(request)?;
        let run = visible(app, &caller.0, &run_id.0).await?;
        let after = last.0.or(after.0).unwrap_or(0);
        let lines = EventStream::new(follow(app.clone(), run.id, after));
        Ok(Timeline::Live(lines.keep_alive(KEEP_ALIVE).to_event(|line| {
            let id = line.seq.to_string();
            Event::message(line.to_json_string()).event_type("history").id(id)
        })))
    }
}

/// The lines of a timeline as they come. Ends when the database cannot be read, and after a while: a client
/// that is still there comes back, with a token that is still good.
fn follow(app: App, run: Uuid, after: i64) -> BoxStream<'static, HistoryLine> {
    let (start, ends) = ((app, after, VecDeque::new()), Instant::now() + LONGEST_STREAM);
    futures::stream::unfold(start, move |(app, mut after, mut lines)| async move {
        while lines.is_empty() {
            if Instant::now() >= ends {
                return None;
            }
            match history::of_run(app.engine.database().read(), run, after, LINES).await {
                Ok(read) if read.is_empty() => tokio::time::sleep(POLL).await,
                Ok(read) => lines.extend(read),
                Err(error) => {
                    tracing::warn!(%error, "a followed timeline cannot be read");
                    return None;
                }
            }
        }
        let line = lines.pop_front()?;
        after = line.seq;
        Some((HistoryLine::of(line), (app, after, lines)))
    })
    .boxed()
}

/// What is known of a run besides its row.
struct About {
    effects: Vec<outbox::Outbox>,
    /// Whether any effect is dead, also one beyond the first.
    has_dead: bool,
    cases: Vec<operator_case::OperatorCase>,
}

fn view(
    app: &App,
    caller: &Principal,
    run: &run::Run,
    About { effects, has_dead, cases }: &About,
) -> Result<RunView, Problem> {
    let (waiting_for, waiting_until) = waiting(app, run)?;
    let id = RunId(run.id).to_string();
    Ok(RunView {
        workflow: run.workflow.clone(),
        subject: subject(&run.workflow, run.subject),
        state: run.state_name.clone(),
        status: match run.status.as_str() {
            "ACTIVE" => RunStatus::Active,
            "CANCELLED" => RunStatus::Cancelled,
            _ => RunStatus::Done,
        },
        waiting_for,
        waiting_until,
        needs_attention: *has_dead || cases.iter().any(|case| case.status == "OPEN"),
        version: run.version,
        effects: effects.iter().map(|row| effect(row, caller)).collect(),
        cases: cases.iter().map(case).collect(),
        links: RunLinks {
            history: format!("/v2/runs/{id}/history"),
            events: format!("/v2/runs/{id}/events"),
        },
        id,
        created_at: moment(run.created_at),
        // A run that has not begun has not stepped.
        updated_at: moment(run.updated_at.max(run.created_at)),
    })
}

/// What the machine says it waits for. A state of a newer release is not read here.
fn waiting(app: &App, run: &run::Run) -> Result<(Option<String>, Option<OffsetDateTime>), Problem> {
    if run.state.is_empty() {
        return Ok((None, None));
    }
    let Some(machine) = app.engine.registry().reader_of(&run.workflow, run.machine_version) else {
        return Ok((Some("a newer release to go on".to_owned()), None));
    };
    let version = u32::try_from(run.machine_version).unwrap_or_default();
    match machine.standing(version, &run.state).map_err(Problem::internal)? {
        Standing::Waiting(waiting) => {
            let until = waiting.until.map(|until| moment(until.millis()));
            Ok((Some(waiting.what.to_owned()), until))
        }
        Standing::Done | Standing::Cancelled => Ok((None, None)),
    }
}

/// The subject's id as the rest of the API writes it.
fn subject(workflow: &str, id: Uuid) -> String {
    match workflow {
        "checkout" => CheckoutId(id).to_string(),
        "connect_onboarding" | "earnings_rollup" | "plan_subscription" => HandleId(id).to_string(),
        "magic_link" => MagicLinkId(id).to_string(),
        "page_publish" => PageId(id).to_string(),
        "group_buy" => GroupBuyId(id).to_string(),
        "payout" => PayoutId(id).to_string(),
        "refund" => RefundId(id).to_string(),
        "dispute" => DisputeId(id).to_string(),
        _ => id.simple().to_string(),
    }
}

fn effect(row: &outbox::Outbox, caller: &Principal) -> EffectView {
    EffectView {
        kind: row.kind.clone(),
        status: row.status.clone(),
        attempt: row.attempt,
        last_error: row.last_error.as_ref().map(|error| last_error(row, error, caller)),
        due_at: (row.status == "PENDING").then(|| moment(row.due_at)),
        answered_at: maybe_moment(row.answered_at),
    }
}

/// The words of others are for the platform's people. A mail server's name the buyer, whose address is not the
/// creator's to know; Stripe's quote parts of the platform's key.
fn last_error(row: &outbox::Outbox, error: &str, caller: &Principal) -> String {
    match (caller.is_operator(), row.queue.as_str()) {
        (true, _) => error.to_owned(),
        (false, "mail" | "news") => "the mail was not taken".to_owned(),
        (false, "stripe") => "Stripe did not do it: the platform's operators see why".to_owned(),
        (false, _) => "it was not done: the platform's operators see why".to_owned(),
    }
}

fn case(row: &operator_case::OperatorCase) -> CaseView {
    CaseView {
        kind: row.kind.clone(),
        detail: row.detail.clone(),
        status: row.status.clone(),
        created_at: moment(row.created_at),
    }
}
