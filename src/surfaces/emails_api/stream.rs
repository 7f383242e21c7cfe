//! `GET /api/events/stream`: the client's email events as server-sent events, resumable by `Last-Event-ID`.
//!
//! The stream reads the store behind a cursor, so that it misses nothing and doubles nothing, whichever process made
//! an event; a bell only says when to look. It closes within seconds of its credential's end, also while its reader
//! takes nothing, and keeps little for such a reader.

use super::entry::finish;
use super::{EmailsApi, refusals};
use crate::auth::{Caller, Freshness};
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::http::{event_stream, exchange};
use crate::webhooks::message::{body, public_name};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use posthaste_model::credential::Permission;
use posthaste_store::ClientEvent;
use std::fmt::Write as _;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Events read at once.
const PAGE: usize = 25;
/// Between two looks when no bell rings: news of another node may be lost.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks however often the bell rings: what comes together is read together.
const GATHER: Duration = Duration::from_millis(20);
/// A comment this often keeps proxies from closing the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often the credential is looked at again.
const RECHECK: Duration = Duration::from_secs(3);
/// A reader that takes nothing for so long is let go.
const SLOWEST_READER: Duration = Duration::from_secs(30);
/// Chunks that wait for a reader.
const WAITING: usize = 1;
/// Bytes of a chunk, save for an event that is larger.
const CHUNK: usize = 16 * 1024;

/// `GET /api/events/stream`.
pub(super) async fn open(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let exchange = exchange::of(&parts);
    let entered = match api.enter(&exchange, &parts.headers, Freshness::Now).await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let answer = match entered.caller.must(Permission::EmailsRead) {
        Err(refusal) => Err(refusals::problem(refusal)),
        Ok(()) => start(&api, entered.caller.clone(), &parts.headers).await,
    };
    finish(&entered, &exchange, answer)
}

async fn start(api: &EmailsApi, caller: Caller, headers: &HeaderMap) -> Result<Response, Problem> {
    let Ok(seat) = std::sync::Arc::clone(&api.streams).try_acquire_owned() else {
        return Err(Problem::new(problem::OVERLOADED, "too many streams are open").with_retry_after(30));
    };
    let after = match headers.get("last-event-id").map(HeaderValue::to_str) {
        None => api.store.last_event_id().await.map_err(|error| refusals::store(&error))?,
        Some(Ok(text)) => match text.trim().parse::<i64>() {
            Ok(id) if id >= 0 => id,
            _ => return Err(not_an_event_id()),
        },
        Some(Err(_)) => return Err(not_an_event_id()),
    };
    let (sender, chunks) = mpsc::channel(WAITING);
    let (api_inside, stop) = (api.clone(), api.tasks.token());
    api.tasks.spawn("events.stream", async move {
        let feed = feed(&api_inside, caller, after, sender);
        tokio::select! {
            () = feed => {}
            () = stop.cancelled() => {}
        }
        drop(seat);
    });
    Ok(event_stream::of_chunks(chunks))
}

fn not_an_event_id() -> Problem {
    Problem::new(problem::BAD_REQUEST, "Last-Event-ID is the id of an event of this stream")
}

/// A reader, and the credential by which it reads.
struct Reader {
    caller: Caller,
    chunks: mpsc::Sender<Bytes>,
    checked: Instant,
    spoke: Instant,
}

/// Writes events until the reader, the credential or the store ends it; the client then comes back with its last id.
async fn feed(api: &EmailsApi, caller: Caller, mut after: i64, chunks: mpsc::Sender<Bytes>) {
    let client = caller.client.id;
    let mut reader = Reader { caller, chunks, checked: Instant::now(), spoke: Instant::now() };
    // Listen first, then look: what happens in between rings.
    let mut bell = api.live.client(client);
    if !reader.write(api, ": posthaste events\nretry: 1000\n\n".to_owned()).await {
        return;
    }
    loop {
        if !reader.may_read(api).await {
            return;
        }
        let Ok(page) = api.store.events_after(client, after, PAGE).await else { return };
        let moved = page.after != after;
        after = page.after;
        // Only the text is kept for a reader that is slow.
        if !reader.write_all(api, chunks_of(page.events)).await {
            return;
        }
        if !moved {
            let next = Instant::now() + LOOK;
            tokio::select! {
                _rung_or_not = tokio::time::timeout_at(next, bell.rung()) => {}
                () = reader.chunks.closed() => return,
            }
            tokio::time::sleep(GATHER).await;
        }
    }
}

impl Reader {
    /// Whether the credential still may, looked at every few seconds.
    async fn may_read(&mut self, api: &EmailsApi) -> bool {
        if self.checked.elapsed() < RECHECK {
            return true;
        }
        let fresh = api.auth.refresh(&self.caller).await;
        let Some(fresh) = fresh.ok().filter(|fresh| fresh.must(Permission::EmailsRead).is_ok()) else {
            return false;
        };
        self.caller = fresh;
        self.checked = Instant::now();
        true
    }

    async fn write_all(&mut self, api: &EmailsApi, mut chunks: Vec<String>) -> bool {
        if chunks.is_empty() && self.spoke.elapsed() >= HEARTBEAT {
            chunks.push(": still here\n\n".to_owned());
        }
        for chunk in chunks {
            if !self.write(api, chunk).await {
                return false;
            }
        }
        true
    }

    /// Waits until the reader has room. One that takes nothing for long is let go, and so is one whose credential ends.
    async fn write(&mut self, api: &EmailsApi, text: String) -> bool {
        let chunk = Bytes::from(text);
        let deadline = Instant::now() + SLOWEST_READER;
        while Instant::now() < deadline {
            let until = deadline.min(self.checked + RECHECK);
            match tokio::time::timeout_at(until, self.chunks.reserve()).await {
                Ok(Ok(room)) => {
                    room.send(chunk);
                    self.spoke = Instant::now();
                    return true;
                }
                Ok(Err(_gone)) => return false,
                Err(_full) => {}
            }
            if !self.may_read(api).await {
                return false;
            }
        }
        false
    }
}

/// Events as text, in pieces of [`CHUNK`].
fn chunks_of(events: Vec<ClientEvent>) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    for event in events.iter().filter_map(shown) {
        match chunks.last_mut() {
            Some(chunk) if chunk.len() + event.len() <= CHUNK => chunk.push_str(&event),
            _ => chunks.push(event),
        }
    }
    chunks
}

/// An event as the reader sees it; `None` for those that only the timeline tells.
fn shown(found: &ClientEvent) -> Option<String> {
    let kind = public_name(found.event.event.kind)?;
    let mut text = String::with_capacity(256);
    write!(text, "id: {}\nevent: {kind}\ndata: {}\n\n", found.event.id, body(found, kind)).ok()?;
    Some(text)
}
