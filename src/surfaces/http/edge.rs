//! The outermost service: what every request gets before a surface sees it, and every answer before it leaves.
//! Correlation id, client address, a panic turned into an answer, metrics, one log line, and the headers that keep a
//! browser from guessing. One layer by hand instead of a tower of them: the hot path runs through here.

use super::client_address::TrustedProxies;
use super::exchange::Exchange;
use super::problem::{self, Problem};
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::correlation::CorrelationId;
use crate::base::metrics::Metrics;
use crate::base::trace::{self, Open, SpanContext, SpanKind, Traces};
use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use posthaste_model::Timestamp;
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Instant;
use tower::{Layer, Service};

/// The header that carries the correlation id, both ways.
pub const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The other name under which a request may bring it.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C Trace Context: the part of the caller's work that waits for us.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Asked all the time by those who watch; nobody wants their traces.
const NOT_TRACED: [&str; 4] = ["/livez", "/readyz", "/metrics", "/health"];

/// More header fields than this are refused (431), on every version of HTTP.
pub const MAX_HEADERS: usize = 100;
/// What routes are called in metrics that were not found.
const NO_ROUTE: &str = "unmatched";
/// Route patterns are written in our code, so this is never reached; it bounds what a mistake could cost.
const MAX_ROUTES: usize = 1_000;

const POLICY_FOR_DATA: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const POLICY_FOR_PAGES: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// Says a problem in the words of one dialect.
pub type Voice = fn(Problem, &Exchange, Timestamp) -> Response;
/// Whose words belong to a request, by its path and head.
pub type Voices = fn(&str, &HeaderMap) -> Voice;

/// The router and what stands around it.
#[derive(Debug)]
pub struct Edge {
    router: Router,
    voices: Voices,
    clock: Clock,
    trusted: TrustedProxies,
    metrics: Metrics,
    chance: Chance,
    traces: Traces,
    /// The bytes of header fields a request may have.
    header_bytes: usize,
    routes: RouteNames,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// Whether the connection itself is TLS.
    pub tls: bool,
}

impl Edge {
    /// Puts the edge around `router`.
    pub fn new(
        router: Router,
        trusted: TrustedProxies,
        header_bytes: usize,
        metrics: Metrics,
        chance: Chance,
    ) -> Self {
        let router = router.layer(NoteRoute);
        let (traces, routes, clock) = (Traces::off(), RouteNames::default(), Clock::system());
        Self { router, voices: plain, clock, trusted, metrics, chance, traces, header_bytes, routes }
    }

    /// Refuses in the words that belong to a request; without this, all requests are told alike.
    pub fn speaking(self, voices: Voices, clock: Clock) -> Self {
        Self { voices, clock, ..self }
    }

    /// Traces requests.
    pub fn traced_by(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Answers one request, always. Also gives what is known of the request, for the connection to act on.
    pub async fn answer(&self, mut request: Request<Body>, origin: Origin) -> (Response, Exchange) {
        let exchange = self.begin(request.headers(), origin);
        let method = method_name(request.method());
        let span = self.begin_span(&request, &exchange);
        let voice = (self.voices)(request.uri().path(), request.headers());
        let answer = if let Some(problem) = self.refuse(&request) {
            Err(problem)
        } else {
            request.extensions_mut().insert(exchange.clone());
            trace::within(span.as_ref().map(Open::context), self.route(request, &exchange)).await
        };
        let mut response = answer.unwrap_or_else(|problem| voice(problem, &exchange, self.clock.now()));
        complete(response.headers_mut(), &exchange);
        let elapsed = exchange.started().elapsed();
        let route = exchange.route().map_or(NO_ROUTE, |pattern| self.routes.name(pattern));
        let status = response.status().as_u16();
        self.metrics.http_request(route, method, status, elapsed.as_secs_f64());
        tracing::debug!(
            method,
            route,
            status,
            duration_ms = elapsed.as_secs_f64() * 1_000.0,
            correlation_id = exchange.correlation_id().as_str(),
            "request answered"
        );
        if let Some(span) = span {
            end_span(span, method, exchange.route(), status);
        }
        (response, exchange)
    }

    fn begin(&self, headers: &HeaderMap, origin: Origin) -> Exchange {
        let given = |name| headers.get(name).and_then(|id| id.to_str().ok()).and_then(CorrelationId::parse);
        let correlation_id = given(X_CORRELATION_ID)
            .or_else(|| given(X_REQUEST_ID))
            .unwrap_or_else(|| CorrelationId::generate(&self.chance));
        let client = self.trusted.client_address(origin.peer.ip(), headers);
        let tls = self.trusted.came_by_tls(origin.peer.ip(), origin.tls, headers);
        Exchange::new(correlation_id, origin.peer, client, tls, Instant::now())
    }

    /// The span of a request, under the caller's if there is one.
    fn begin_span(&self, request: &Request<Body>, exchange: &Exchange) -> Option<Open> {
        if !self.traces.is_on() || NOT_TRACED.contains(&request.uri().path()) {
            return None;
        }
        let mut given = request.headers().get_all(TRACEPARENT).iter();
        // Two callers are none.
        let parent = match (given.next(), given.next()) {
            (Some(one), None) => one.to_str().ok().and_then(SpanContext::parse),
            _ => None,
        };
        let mut span = self.traces.begun(SpanKind::Server, parent, exchange.started())?;
        span.text("posthaste.correlation_id", exchange.correlation_id().as_str());
        Some(span)
    }

    /// What no surface should have to see.
    fn refuse(&self, request: &Request<Body>) -> Option<Problem> {
        let headers = request.headers();
        // HTTP/1 heads are measured while they are read; HTTP/2 unpacks them from next to nothing (RFC 7541).
        let unpacked = request.version() >= Version::HTTP_2
            && headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
                > self.header_bytes;
        if headers.len() > MAX_HEADERS || unpacked {
            let detail = "there are too many or too large header fields";
            return Some(Problem::new(problem::HEADERS_TOO_LARGE, detail));
        }
        // RFC 9112, section 3.2: exactly one Host, or proxy and server may disagree on whose request this is.
        if request.version() == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
            let detail = "there must be exactly one Host header field";
            return Some(Problem::new(problem::BAD_REQUEST, detail));
        }
        None
    }

    /// Runs the router. A panic ends this request and nothing else.
    async fn route(&self, request: Request<Body>, exchange: &Exchange) -> Result<Response, Problem> {
        let mut router = self.router.clone();
        let mut routed = pin!(async move { router.call(request).await });
        let outcome = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| routed.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(response))) => Poll::Ready(Some(response)),
            Ok(Poll::Ready(Err(never))) => match never {},
            Err(_panic) => Poll::Ready(None),
        });
        if let Some(response) = outcome.await {
            return Ok(response);
        }
        let route = exchange.route().unwrap_or(NO_ROUTE);
        let correlation_id = exchange.correlation_id().as_str();
        tracing::error!(route, correlation_id, "a request panicked and was answered with 500");
        Err(Problem::new(problem::INTERNAL_ERROR, "the fault is logged under the correlation id"))
    }
}

/// One voice for every request: the problem as it is.
fn plain(_path: &str, _headers: &HeaderMap) -> Voice {
    |problem, exchange, _now| problem.into_response(exchange)
}

/// By OpenTelemetry's conventions for HTTP: the pattern of the route, never the path itself, which may hold an address.
fn end_span(mut span: Open, method: &'static str, route: Option<&str>, status: u16) {
    span.text("http.request.method", method);
    span.number("http.response.status_code", status);
    if status >= 500 {
        span.failed();
    }
    match route {
        Some(route) => {
            span.text("http.route", route);
            span.end(format!("{method} {route}"));
        }
        None => span.end(method),
    }
}

/// What every answer carries. What a surface set itself stays.
fn complete(headers: &mut HeaderMap, exchange: &Exchange) {
    if let Ok(id) = HeaderValue::from_str(exchange.correlation_id().as_str()) {
        headers.insert(X_CORRELATION_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        let is_page =
            headers.get(CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"text/html"));
        headers.insert(CONTENT_SECURITY_POLICY, if is_page { POLICY_FOR_PAGES } else { POLICY_FOR_DATA });
    }
}

/// Methods as metrics show them: a closed set, whatever a client invents.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// The patterns of the routes as metrics want them: each is kept once, for the life of the process. Patterns are
/// written in our code, so they are few.
#[derive(Debug, Default)]
struct RouteNames(RwLock<HashMap<Box<str>, &'static str>>);

impl RouteNames {
    fn name(&self, pattern: &str) -> &'static str {
        if let Some(name) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(pattern) {
            return name;
        }
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= MAX_ROUTES {
            return NO_ROUTE;
        }
        names.entry(pattern.into()).or_insert_with(|| Box::leak(pattern.into()))
    }
}

/// Tells the exchange which route was found: only inside the router is that known.
#[derive(Clone, Copy, Debug)]
struct NoteRoute;

#[derive(Clone, Debug)]
struct NoteRouteService<S>(S);

impl<S> Layer<S> for NoteRoute {
    type Service = NoteRouteService<S>;

    fn layer(&self, inner: S) -> NoteRouteService<S> {
        NoteRouteService(inner)
    }
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for NoteRouteService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let extensions = request.extensions();
        if let (Some(exchange), Some(path)) = (extensions.get::<Exchange>(), extensions.get::<MatchedPath>())
        {
            exchange.found_route(path.clone());
        }
        self.0.call(request)
    }
}

#[cfg(test)]
#[path = "edge_tests.rs"]
mod tests;
