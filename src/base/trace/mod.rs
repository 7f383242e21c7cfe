//! OpenTelemetry traces: what a request, the commit of its email and each attempt cost, under ids that a caller's own
//! trace gives. Spans carry ids, words and numbers; never a body, an address or a secret.
//!
//! Off unless a collector is named. A span is put into a bounded queue that another task empties; when that task cannot
//! keep up, or the collector is away, spans are dropped and mail goes on. Written here instead of taken from the SDK:
//! see docs/decisions/0009-traces-without-the-sdk.md.

mod context;
mod export;
mod otlp;
mod sampler;
mod settings;

pub use context::{SpanContext, current, within};
pub use sampler::{Sampler, SamplerError};
pub use settings::TraceSettings;

use super::chance::Chance;
use super::clock::Clock;
use super::tasks::Tasks;
use posthaste_model::EmailId;
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Spans that may wait for the exporter; as `OTEL_BSP_MAX_QUEUE_SIZE` has it when nobody sets it.
const SPANS_WAITING: usize = 2048;
/// Emails whose request is remembered, for their attempts on this node.
const EMAILS_REMEMBERED: usize = 8192;

/// Where spans go. Cheap to clone; clones share one queue. Off, every call costs one comparison.
#[derive(Clone)]
pub struct Traces(Option<Arc<Tracer>>);

struct Tracer {
    settings: TraceSettings,
    clock: Clock,
    chance: Chance,
    spans: mpsc::Sender<Span>,
    /// Taken by whoever starts the exporter.
    waiting: Mutex<Option<mpsc::Receiver<Span>>>,
    dropped: Arc<AtomicU64>,
    origins: Mutex<Origins>,
}

/// A part of the work that is over.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::base) struct Span {
    context: SpanContext,
    parent: Option<[u8; 8]>,
    name: Cow<'static, str>,
    kind: SpanKind,
    /// Nanoseconds since 1970.
    start: u64,
    end: u64,
    attributes: Vec<(&'static str, Value)>,
    failed: bool,
}

/// On which side of a call a span stands, in OTLP's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Work inside this process.
    Internal = 1,
    /// A caller waits for it.
    Server = 2,
    /// It waits for somebody else.
    Client = 3,
}

/// What an attribute holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
}

/// A part of the work under way, sampled already. Dropped without [`Open::end`] it leaves nothing behind.
pub struct Open {
    tracer: Arc<Tracer>,
    context: SpanContext,
    parent: Option<[u8; 8]>,
    kind: SpanKind,
    start: u64,
    began: Instant,
    attributes: Vec<(&'static str, Value)>,
    failed: bool,
}

impl Traces {
    /// Records nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// Records what `settings` ask for, as soon as [`Self::start`] runs the exporter; nothing when they name no
    /// collector.
    pub fn new(settings: Option<TraceSettings>, clock: Clock, chance: Chance) -> Self {
        let Some(settings) = settings else { return Self::off() };
        let (spans, waiting) = mpsc::channel(SPANS_WAITING);
        Self(Some(Arc::new(Tracer {
            settings,
            clock,
            chance,
            spans,
            waiting: Mutex::new(Some(waiting)),
            dropped: Arc::default(),
            origins: Mutex::default(),
        })))
    }

    /// Runs the exporter until `tasks` end; it then sends what still waits, within a moment.
    pub fn start(&self, tasks: &Tasks) {
        let Some(tracer) = &self.0 else { return };
        let waiting = tracer.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(waiting) = waiting else { return };
        match export::Exporter::new(&tracer.settings, Arc::clone(&tracer.dropped)) {
            Ok(exporter) => {
                tasks.spawn("traces.export", exporter.run(waiting, tasks.token()));
            }
            Err(error) => tracing::error!(%error, "traces cannot be exported"),
        }
    }

    /// Are spans recorded at all?
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins a part of the work now, under `parent` if there is one; nothing when it is not sampled.
    pub fn begin(&self, kind: SpanKind, parent: Option<SpanContext>) -> Option<Open> {
        self.begun(kind, parent, Instant::now())
    }

    /// As [`Self::begin`], for what began before.
    pub fn begun(&self, kind: SpanKind, parent: Option<SpanContext>, began: Instant) -> Option<Open> {
        let tracer = self.0.as_ref()?;
        let trace_id = parent.map_or_else(|| tracer.chance.bytes(), |parent| parent.trace_id);
        let sampled = tracer.settings.sampler.wants(&trace_id, parent.map(|parent| parent.sampled));
        if !sampled {
            return None;
        }
        let context = SpanContext { trace_id, span_id: tracer.chance.bytes(), sampled };
        let ago = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Some(Open {
            tracer: Arc::clone(tracer),
            context,
            parent: parent.map(|parent| parent.span_id),
            kind,
            start: tracer.clock.unix_nanos().saturating_sub(ago),
            began,
            attributes: Vec::with_capacity(8),
            failed: false,
        })
    }

    /// Remembers the part of the work that brought these emails, so that their attempts on this node join its trace.
    pub fn remember(&self, emails: impl Iterator<Item = EmailId>, origin: SpanContext) {
        let Some(tracer) = &self.0 else { return };
        let mut origins = tracer.origins.lock().unwrap_or_else(PoisonError::into_inner);
        for email in emails {
            origins.insert(email, origin);
        }
    }

    /// What brought an email, if it came in here and not too long ago.
    pub fn origin(&self, email: EmailId) -> Option<SpanContext> {
        let tracer = self.0.as_ref()?;
        tracer.origins.lock().unwrap_or_else(PoisonError::into_inner).by_email.get(&email).copied()
    }
}

impl Open {
    /// Under which ids further parts of the work stand.
    pub const fn context(&self) -> SpanContext {
        self.context
    }

    /// Notes text; nothing that says who writes to whom, or what.
    pub fn text(&mut self, name: &'static str, value: impl Into<String>) {
        self.attributes.push((name, Value::Text(value.into())));
    }

    /// Notes a number.
    pub fn number(&mut self, name: &'static str, value: impl TryInto<i64>) {
        self.attributes.push((name, Value::Number(value.try_into().unwrap_or(i64::MAX))));
    }

    /// Notes that it did not do what it should.
    pub const fn failed(&mut self) {
        self.failed = true;
    }

    /// Ends it, under its name.
    pub fn end(self, name: impl Into<Cow<'static, str>>) {
        let took = self.began.elapsed();
        self.end_after(name, took);
    }

    /// Ends it, under its name, as having taken `took`.
    pub fn end_after(self, name: impl Into<Cow<'static, str>>, took: Duration) {
        let end = self.start.saturating_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let span = Span {
            context: self.context,
            parent: self.parent,
            name: name.into(),
            kind: self.kind,
            start: self.start,
            end,
            attributes: self.attributes,
            failed: self.failed,
        };
        if self.tracer.spans.try_send(span).is_err() {
            self.tracer.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traces").field(&self.is_on()).finish()
    }
}

/// The latest emails and what brought them; the oldest is forgotten first.
#[derive(Default)]
struct Origins {
    by_email: HashMap<EmailId, SpanContext>,
    order: VecDeque<EmailId>,
}

impl Origins {
    fn insert(&mut self, email: EmailId, origin: SpanContext) {
        if self.by_email.insert(email, origin).is_none() {
            self.order.push_back(email);
        }
        if self.order.len() > EMAILS_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_email.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_model::Timestamp;

    fn traces(sampler: &str) -> Traces {
        let settings = TraceSettings {
            sampler: Sampler::parse(sampler, None).unwrap(),
            ..TraceSettings::to("http://127.0.0.1:4318/v1/traces".into())
        };
        Traces::new(Some(settings), Clock::manual(Timestamp::from_millis(1_700_000_000_000)), Chance::new())
    }

    fn waiting(traces: &Traces) -> mpsc::Receiver<Span> {
        traces.0.as_ref().unwrap().waiting.lock().unwrap().take().unwrap()
    }

    #[test]
    fn a_part_of_a_part_stands_under_its_ids() {
        let traces = traces("parentbased_always_on");
        let caller = SpanContext { trace_id: [7; 16], span_id: [9; 8], sampled: true };
        let mut request = traces.begin(SpanKind::Server, Some(caller)).unwrap();
        request.number("http.response.status_code", 202_u16);
        let commit = traces.begin(SpanKind::Internal, Some(request.context())).unwrap();
        let (of_request, of_commit) = (request.context(), commit.context());
        commit.end("intake.commit");
        request.end("POST /api/emails");
        let mut waiting = waiting(&traces);
        let (commit, request) = (waiting.try_recv().unwrap(), waiting.try_recv().unwrap());
        assert_eq!((commit.context, commit.parent), (of_commit, Some(of_request.span_id)));
        assert_eq!((request.context.trace_id, request.parent), ([7; 16], Some([9; 8])));
        assert!(request.end >= request.start && request.start <= 1_700_000_000_000_000_000);
        assert_eq!(request.attributes, [("http.response.status_code", Value::Number(202))]);
    }

    #[test]
    fn who_is_not_sampled_leaves_nothing_and_off_costs_nothing() {
        assert!(traces("always_off").begin(SpanKind::Internal, None).is_none());
        let unsampled = SpanContext { trace_id: [7; 16], span_id: [9; 8], sampled: false };
        assert!(traces("parentbased_always_on").begin(SpanKind::Internal, Some(unsampled)).is_none());
        assert!(Traces::off().begin(SpanKind::Internal, None).is_none());
    }

    #[test]
    fn what_nobody_takes_is_dropped_and_counted() {
        let traces = traces("always_on");
        for _ in 0..SPANS_WAITING + 3 {
            traces.begin(SpanKind::Internal, None).unwrap().end("part");
        }
        assert_eq!(traces.0.as_ref().unwrap().dropped.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn the_oldest_email_is_forgotten_first() {
        let traces = traces("always_on");
        let origin = SpanContext { trace_id: [7; 16], span_id: [9; 8], sampled: true };
        let id = |number: usize| EmailId::new(Timestamp::from_millis(number as i64), [0; 10]);
        traces.remember((0..=EMAILS_REMEMBERED).map(id), origin);
        assert_eq!(traces.origin(id(0)), None);
        assert_eq!(traces.origin(id(1)), Some(origin));
        assert_eq!(traces.origin(id(EMAILS_REMEMBERED)), Some(origin));
    }
}
