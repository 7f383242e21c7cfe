//! `GET /inbox/api/messages/wait`: a test sends, then waits here for what arrives, instead of asking again and again.

use super::access::{self, Scope};
use super::parameters::Asked;
use super::visit::Visit;
use super::{Inbox, shapes};
use crate::surfaces::http::answer;
use crate::surfaces::http::problem::{self, Problem};
use axum::response::Response;
use http::StatusCode;
use posthaste_model::inbox::InboxMessage;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The bell rings in this process only; a message that another process kept is found by looking again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Between two looks, however often the bell rings.
const PAUSE: Duration = Duration::from_millis(20);
/// Messages that a look goes through, newest first.
const PAGE: usize = 100;
const MOST_PAGES: usize = 20;

pub(super) async fn wait(visit: Visit, (): ()) -> Result<Response, Problem> {
    let asked = visit.asked(&["q", "client", "to", "subject", "after", "timeout"])?;
    let Some(message) = visit.inbox.wait_for(visit.scope_of(&asked).await?, &asked).await? else {
        let detail = format!("no such message came within {} ms", asked.timeout.as_millis());
        return Err(Problem::new(problem::NOT_FOUND, detail).with_code("timeout"));
    };
    let opened = visit.inbox.open(message).await?;
    Ok(answer::json(StatusCode::OK, &shapes::full(&opened)))
}

impl Inbox {
    async fn wait_for(&self, scope: Scope, asked: &Asked) -> Result<Option<InboxMessage>, Problem> {
        let deadline = Instant::now() + asked.timeout;
        // Listen first, then look: what comes in between rings.
        let mut bell = self.bell.subscribe();
        loop {
            bell.borrow_and_update();
            let looked_at = Instant::now();
            if let Some(message) = self.look(scope, asked).await? {
                return Ok(Some(message));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            let ring = timeout_at(deadline.min(looked_at + LOOK_AGAIN), bell.changed());
            // Whether it rang or not, the next look tells.
            if self.stopping.run_until_cancelled(ring).await.is_none() {
                let detail = "the server is being stopped; wait again";
                return Err(Problem::new(problem::OVERLOADED, detail).with_retry_after(1));
            }
            sleep_until(deadline.min(looked_at + PAUSE)).await;
        }
    }

    /// The first message behind `after`; without `after`, the newest.
    async fn look(&self, scope: Scope, asked: &Asked) -> Result<Option<InboxMessage>, Problem> {
        let filter = asked.filter(scope);
        let mut first = None;
        let mut before = None;
        for _ in 0..MOST_PAGES {
            let found = self.store.inbox_list(&filter, before, PAGE).await;
            let page = found.map_err(|error| access::unavailable(&error))?;
            let (length, last) = (page.len(), page.last().map(|message| message.id));
            for message in page.into_iter().filter(|message| has_subject(message, asked)) {
                if asked.after.is_none() {
                    return Ok(Some(message));
                }
                first = Some(message);
            }
            if length < PAGE {
                break;
            }
            before = last;
        }
        Ok(first)
    }
}

/// What the store's filter left open.
fn has_subject(message: &InboxMessage, asked: &Asked) -> bool {
    asked
        .subject
        .as_deref()
        .is_none_or(|subject| message.subject.to_ascii_lowercase().contains(&subject.to_ascii_lowercase()))
}
