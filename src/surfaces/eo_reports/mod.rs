//! `/eo/*`: organizers look at the reports of their events, send them and send them again. Pages for people, the same
//! as JSON, and a stream that says when to look again.

mod data;
mod filters;
mod live;
mod page;
mod send;

pub(crate) use send::answer_of;

use crate::auth::SignedIn;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::eo::Eo;
use crate::limits::Limits;
use crate::surfaces::Ground;
use crate::surfaces::http::answer;
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::problem::Problem;
use crate::surfaces::web::visitor::{Visitor, Visitors, redirect};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{any, get, post};
use http::request::Parts;
use http::{Request, StatusCode};
use posthaste_model::Timestamp;
use posthaste_model::user::Role;
use posthaste_store::Store;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What metrics call this surface.
const SURFACE: &str = "eo";
/// Pages that are told of changes at once.
const STREAMS: usize = 500;

/// What the surface works with.
pub(super) struct EoReportsParts {
    visitors: Visitors,
    eo: Eo,
    store: Store,
    limits: Limits,
    metrics: Metrics,
    clock: Clock,
    tasks: Tasks,
    streams: Arc<Semaphore>,
}

/// The surface.
#[derive(Clone)]
struct EoReports(Arc<EoReportsParts>);

impl std::ops::Deref for EoReports {
    type Target = EoReportsParts;

    fn deref(&self) -> &EoReportsParts {
        &self.0
    }
}

/// The surface's routes.
pub(super) fn router(ground: &Ground) -> Router {
    let reports = EoReports(Arc::new(EoReportsParts {
        visitors: Visitors::new(ground),
        eo: ground.eo.clone(),
        store: ground.store.clone(),
        limits: ground.limits.clone(),
        metrics: ground.metrics.clone(),
        clock: ground.clock.clone(),
        tasks: ground.tasks.clone(),
        streams: Arc::new(Semaphore::new(STREAMS)),
    }));
    Router::new()
        .route("/eo/email-reports", get(page::list))
        .route("/eo/email-reports/data", get(data::data))
        .route("/eo/email-reports/live", get(live::open))
        .route("/eo/email-reports/send", post(send::send))
        .route("/eo/email-reports/{id}/resend", get(page::resend).post(send::resend))
        .route("/eo/email-reports/{id}/dismiss", post(send::dismiss))
        .route("/eo", get(async || redirect("/eo/email-reports")))
        .route("/eo/", any(nothing))
        .route("/eo/{*rest}", any(nothing))
        .with_state(reports)
}

/// A problem in the shape of this surface.
pub(super) fn say(mut problem: Problem, _exchange: &Exchange, _now: Timestamp) -> Response {
    let headers = std::mem::take(problem.headers_mut());
    let mut response = answer::json(problem.status(), &json!({"ok": false, "error": problem.code()}));
    response.headers_mut().extend(headers);
    response
}

/// What kind of answer a refusal is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Page,
    Data,
}

impl EoReports {
    /// Who is logged in and may see reports; a page leads everybody else to the login, data say why not.
    async fn enter(&self, parts: &Parts, answer: Answer) -> Result<(Visitor, SignedIn), Response> {
        let visitor = self.visitors.enter(parts).await?;
        let wants_page = answer == Answer::Page && !visitor.wants_json();
        let Some(who) = visitor.signed_in.clone() else {
            if wants_page {
                let asked = parts.uri.path_and_query().map_or("/eo/email-reports", |path| path.as_str());
                let asked = if parts.method == http::Method::GET { asked } else { "/eo/email-reports" };
                let next = crate::surfaces::web::visitor::escaped(asked);
                return Err(visitor.finish(redirect(&format!("/login?next={next}"))));
            }
            return Err(data::refusal(&visitor, StatusCode::UNAUTHORIZED, "unauthenticated"));
        };
        if who.user.role == Role::Viewer {
            return Err(if wants_page {
                visitor.refuse(StatusCode::FORBIDDEN, "forbidden")
            } else {
                data::refusal(&visitor, StatusCode::FORBIDDEN, "forbidden")
            });
        }
        Ok((visitor, who))
    }
}

/// Everything else under `/eo`.
async fn nothing(State(reports): State<EoReports>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    match reports.enter(&parts, Answer::Page).await {
        Ok((visitor, _)) => visitor.refuse(StatusCode::NOT_FOUND, "not_found"),
        Err(refused) => refused,
    }
}
