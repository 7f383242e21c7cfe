//! `GET /eo/email-reports/live`: says when the list has changed, as server-sent events. What has changed the page asks
//! for itself, so that it shows the same as it would when loaded anew.

use super::{Answer, EoReports};
use crate::auth::SignedIn;
use crate::surfaces::http::event_stream;
use crate::surfaces::web::visitor::Visitor;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{Request, StatusCode};
use posthaste_model::user::Role;
use posthaste_store::{EoFilter, StoreError};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(700);
/// How often the login is looked at again: one that has ended ends the stream within five seconds, a look's wait included.
const RECHECK: Duration = Duration::from_secs(3);
/// A comment this often keeps proxies from closing the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Deliveries that are watched: those of the first pages.
const WATCHED: usize = 200;

/// `GET /eo/email-reports/live`.
pub(super) async fn open(State(reports): State<EoReports>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let (visitor, who) = match reports.enter(&parts, Answer::Data).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let Ok(seat) = Arc::clone(&reports.streams).try_acquire_owned() else {
        return super::data::refusal(&visitor, StatusCode::SERVICE_UNAVAILABLE, "too_many_streams");
    };
    let (sender, chunks) = mpsc::channel(1);
    let response = visitor.finish(event_stream::of_chunks(chunks));
    let (inside, stop) = (reports.clone(), reports.tasks.token());
    reports.tasks.spawn("eo.live", async move {
        tokio::select! {
            () = feed(&inside, visitor, who, sender) => {}
            () = stop.cancelled() => {}
        }
        drop(seat);
    });
    response
}

/// Tells of changes until the reader goes, the login ends or the store fails; the browser then comes back by itself.
async fn feed(reports: &EoReports, visitor: Visitor, who: SignedIn, chunks: mpsc::Sender<Bytes>) {
    let Ok(mut known) = reports.fingerprint(&who).await else { return };
    let (mut checked, mut spoke) = (Instant::now(), Instant::now());
    if chunks.send(Bytes::from_static(b"retry: 1000\n\n")).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = chunks.closed() => return,
        }
        if checked.elapsed() >= RECHECK {
            if !reports.visitors.still_holds(&visitor).await {
                return;
            }
            checked = Instant::now();
        }
        let Ok(now) = reports.fingerprint(&who).await else { return };
        let said: &'static [u8] = if now != known {
            b"event: changed\ndata: {}\n\n"
        } else if spoke.elapsed() >= HEARTBEAT {
            b": still here\n\n"
        } else {
            continue;
        };
        (known, spoke) = (now, Instant::now());
        if chunks.send(Bytes::from_static(said)).await.is_err() {
            return;
        }
    }
}

impl EoReports {
    /// A number that changes with whatever the list shows.
    async fn fingerprint(&self, who: &SignedIn) -> Result<u64, StoreError> {
        let owner_id = (who.user.role != Role::Admin).then_some(who.user.id);
        let filter = EoFilter { owner_id, ..EoFilter::default() };
        let mut hasher = DefaultHasher::new();
        for record in self.store.eo_deliveries(&filter, WATCHED).await? {
            let (delivery, outcome) = (&record.delivery, record.outcome.as_ref());
            (delivery.id, delivery.noticed_at, delivery.seen_at).hash(&mut hasher);
            outcome.map(|outcome| (outcome.status, outcome.attempts, &outcome.error)).hash(&mut hasher);
        }
        Ok(hasher.finish())
    }
}
