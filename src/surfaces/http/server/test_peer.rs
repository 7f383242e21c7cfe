//! A server on a port of its own and a peer that speaks bytes: what these tests send, no client library would.

use super::{BoundServer, HttpServerSettings, bind};
use crate::base::chance::Chance;
use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::surfaces::http::body::{Bodies, BodySettings};
use crate::surfaces::http::client_address::TrustedProxies;
use crate::surfaces::http::edge::Edge;
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::problem::{self, Problem};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::Request;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// No condition of these tests may take longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct TestServer {
    pub address: SocketAddr,
    pub metrics: Metrics,
    pub tasks: Tasks,
    pub serving: JoinHandle<()>,
    /// Lets the requests to `/wait` go on.
    pub gate: Arc<tokio::sync::Semaphore>,
}

pub fn quick() -> HttpServerSettings {
    let mut settings = HttpServerSettings::new("127.0.0.1:0".parse().unwrap());
    settings.header_timeout = Duration::from_millis(250);
    settings.write_timeout = Duration::from_millis(400);
    settings.idle_timeout = Duration::from_millis(900);
    settings.drain = Duration::from_secs(5);
    settings
}

pub fn start(settings: HttpServerSettings) -> TestServer {
    let metrics = Metrics::new();
    let tasks = Tasks::observed_by(&metrics);
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let bound: BoundServer = bind(settings.clone()).unwrap();
    let address = bound.local_addr();
    let router = router(&metrics, gate.clone());
    let header_bytes = settings.header_bytes;
    let edge = Edge::new(router, TrustedProxies::default(), header_bytes, metrics.clone(), Chance::new());
    let (own_tasks, own_metrics) = (tasks.clone(), metrics.clone());
    let serving = tasks.spawn("test_server", async move {
        bound.serve(Arc::new(edge), &own_tasks, &own_metrics).await;
    });
    TestServer { address, metrics, tasks, serving, gate }
}

fn router(metrics: &Metrics, gate: Arc<tokio::sync::Semaphore>) -> Router {
    let settings = BodySettings {
        limit: 1 << 20,
        memory: 16 << 20,
        timeout: Duration::from_millis(400),
        wait_for_room: Duration::from_millis(200),
    };
    let bodies = Bodies::new(settings, metrics);
    let echo = move |exchange: Exchange, request: Request<Body>| async move {
        let (parts, body) = request.into_parts();
        match bodies.read(&parts, body).await {
            Ok(held) => held.len().to_string().into_response(),
            Err(refusal) => Problem::from(refusal).into_response(&exchange),
        }
    };
    let wait = move || async move {
        gate.acquire().await.unwrap().forget();
        "waited"
    };
    Router::new()
        .route("/", get(|| async { "halo" }))
        .route("/large", get(|| async { vec![b'x'; 64 << 20] }))
        .route("/echo", post(echo))
        .route("/unauthorized", post(refuse))
        .route("/wait", get(wait))
        .fallback(async || http::StatusCode::NOT_FOUND)
}

async fn refuse(exchange: Exchange) -> Response {
    Problem::new(problem::UNAUTHORIZED, "no key").into_response(&exchange)
}

impl TestServer {
    pub async fn connect(&self) -> Peer {
        Peer { stream: TcpStream::connect(self.address).await.unwrap() }
    }

    /// Sends `request` on a connection of its own and gives all that comes back until the server closes.
    pub async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut peer = self.connect().await;
        peer.send(request).await;
        peer.read_to_end().await
    }

    /// Waits until the server has closed all connections.
    pub async fn no_connection_is_open(&self) {
        let gauge = self.metrics.connections("http");
        let closed = async {
            while gauge.get() != 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, closed).await.expect("the server closes its connections");
    }
}

pub struct Peer {
    pub stream: TcpStream,
}

impl Peer {
    /// Sends what the server is willing to take; it may hang up in the middle.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    pub async fn read_to_end(&mut self) -> String {
        let mut all = Vec::new();
        let reading = self.stream.read_to_end(&mut all);
        // A reset is an end too; what came before it counts.
        let _ = tokio::time::timeout(PATIENCE, reading).await.expect("the server closes the connection");
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Reads until `needle` has come.
    pub async fn read_until(&mut self, needle: &str) -> String {
        let mut all = Vec::new();
        let reading = async {
            let mut piece = [0; 4096];
            loop {
                let n = self.stream.read(&mut piece).await.expect("the connection stays");
                assert!(n > 0, "closed after {:?}", String::from_utf8_lossy(&all));
                all.extend_from_slice(&piece[..n]);
                let text = String::from_utf8_lossy(&all);
                if text.contains(needle) {
                    return text.into_owned();
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("the answer comes")
    }
}
