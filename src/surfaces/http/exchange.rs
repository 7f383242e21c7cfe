//! What is known of one request besides the request: who sent it, under which correlation id, since when. The edge
//! puts it into the request's extensions; a handler takes it as an argument.

use crate::base::correlation::CorrelationId;
use axum::extract::{FromRequestParts, MatchedPath};
use http::request::Parts;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// One request and its answer. Cheap to clone; clones speak of the same request.
#[derive(Clone, Debug)]
pub struct Exchange(Arc<Known>);

#[derive(Debug)]
struct Known {
    correlation_id: CorrelationId,
    peer: SocketAddr,
    client_address: IpAddr,
    came_by_tls: bool,
    started: Instant,
    route: OnceLock<MatchedPath>,
    body: AtomicU8,
}

/// How far a request's body was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BodyProgress {
    /// Nobody asked for it, or it was refused in the middle.
    Unread = 0,
    /// To its end.
    Read = 1,
    /// It came too slowly: the connection is of no use any more.
    TooSlow = 2,
}

impl Exchange {
    /// What the edge knows when the head of a request has arrived.
    pub fn new(
        correlation_id: CorrelationId,
        peer: SocketAddr,
        client_address: IpAddr,
        came_by_tls: bool,
        started: Instant,
    ) -> Self {
        let (route, body) = (OnceLock::new(), AtomicU8::new(BodyProgress::Unread as u8));
        Self(Arc::new(Known { correlation_id, peer, client_address, came_by_tls, started, route, body }))
    }

    /// The id that stands in the answer and on every log line.
    pub fn correlation_id(&self) -> &CorrelationId {
        &self.0.correlation_id
    }

    /// The other end of the connection; a proxy, perhaps.
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// The client, as far as it can be trusted.
    pub fn client_address(&self) -> IpAddr {
        self.0.client_address
    }

    /// Whether the client came by TLS (cookies are then `Secure`).
    pub fn came_by_tls(&self) -> bool {
        self.0.came_by_tls
    }

    /// When the head of the request had arrived.
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The pattern of the route that answers; nothing before the router found one.
    pub fn route(&self) -> Option<&str> {
        self.0.route.get().map(MatchedPath::as_str)
    }

    /// Notes the route; the first note stays.
    pub fn found_route(&self, route: MatchedPath) {
        // A nested router may find a second, longer match only through a layer of its own: the first stays.
        let _ = self.0.route.set(route);
    }

    /// How far the body was read.
    pub fn body_progress(&self) -> BodyProgress {
        match self.0.body.load(Ordering::Relaxed) {
            1 => BodyProgress::Read,
            2 => BodyProgress::TooSlow,
            _ => BodyProgress::Unread,
        }
    }

    /// Notes how far the body was read.
    pub fn note_body(&self, progress: BodyProgress) {
        self.0.body.store(progress as u8, Ordering::Relaxed);
    }
}

impl<S: Sync> FromRequestParts<S> for Exchange {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(of(parts))
    }
}

/// The exchange of a request. Every request that came through the edge has one; one that did not (a test that calls
/// a router directly) is given one that says nothing.
pub fn of(parts: &Parts) -> Exchange {
    if let Some(exchange) = parts.extensions.get::<Exchange>() {
        return exchange.clone();
    }
    let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let unknown = CorrelationId::parse("-").expect("one visible character");
    Exchange::new(unknown, nowhere, nowhere.ip(), false, Instant::now())
}
