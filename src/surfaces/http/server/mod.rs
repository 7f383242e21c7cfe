//! The listener. `axum::serve` has no time limits, and hyper's are inert without a timer; so the accept loop is our
//! own. What it promises: a peer that sends its head slowly, sends nothing, or does not read its answers is dropped
//! in time; more connections than allowed are told 503 at once; trouble with `accept` (no file descriptors left)
//! never ends the loop; at shutdown every request begun is answered.

mod connection;
mod guarded_io;
mod lent_body;
pub mod tls;
mod watch;

use super::edge::{Edge, Origin};
use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::surfaces::listener::{Listener, Refusals};
use bytes::Bytes;
use connection::Connections;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The smallest buffer hyper works with.
const MIN_BUFFER_BYTES: usize = 8 * 1024;
/// Bytes of answers an HTTP/2 connection keeps for a peer that is slow to take them.
const H2_SEND_BUFFER_BYTES: usize = 64 * 1024;
/// What an HTTP/2 stream and its connection may send ahead of being read.
const H2_STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const H2_CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
/// Requests at once on one HTTP/2 connection.
const H2_MAX_STREAMS: u32 = 200;
/// An HTTP/2 peer is asked this often whether it is still there, and must say so in time.
const H2_PING_EVERY: Duration = Duration::from_secs(30);
const H2_PING_TIMEOUT: Duration = Duration::from_secs(20);

const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n\
    Content-Length: 144\r\nRetry-After: 1\r\nConnection: close\r\n\r\n\
    {\"type\":\"/api/docs#problem-overloaded\",\"title\":\"Too much at once\",\"status\":503,\
    \"detail\":\"no connection is free\",\"code\":\"overloaded\",\"errors\":[]}";

/// How a listener behaves.
#[derive(Clone, Debug)]
pub struct HttpServerSettings {
    /// The address; port 0 chooses one (`http.listen`).
    pub listen: SocketAddr,
    /// From the first byte of a request to the end of its head; also for the first byte of a new connection and for
    /// the TLS handshake (`http.header_timeout`).
    pub header_timeout: Duration,
    /// Between two requests of one connection (`http.idle_timeout`).
    pub idle_timeout: Duration,
    /// How long a peer may take nothing of an answer that waits for it.
    pub write_timeout: Duration,
    /// Connections at once (`http.max_connections`); more are answered 503.
    pub max_connections: usize,
    /// Bytes of a request's head; more are answered 431.
    pub header_bytes: usize,
    /// How long requests may take to end once the shutdown has begun.
    pub drain: Duration,
    /// Certificate and key, when the listener itself speaks TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl HttpServerSettings {
    /// The documented defaults for an address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            // Noticed and closed within half a minute.
            write_timeout: Duration::from_secs(26),
            max_connections: 10_000,
            header_bytes: 32 * 1024,
            drain: Duration::from_secs(20),
            tls: None,
        }
    }
}

/// A listener that has its address but serves nobody yet: connections wait in the kernel.
#[derive(Debug)]
pub struct BoundServer {
    listener: Listener,
    settings: HttpServerSettings,
}

/// Takes the address.
pub fn bind(settings: HttpServerSettings) -> io::Result<BoundServer> {
    Ok(BoundServer { listener: Listener::bind(settings.listen)?, settings })
}

impl BoundServer {
    /// The address, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Serves until the shutdown of `tasks` begins; connections are tasks of theirs and may live up to
    /// `settings.drain` longer.
    pub async fn serve(self, edge: Arc<Edge>, tasks: &Tasks, metrics: &Metrics) {
        let token = tasks.token();
        let free = Arc::new(Semaphore::new(self.settings.max_connections));
        let refusals = Refusals::new();
        let connections = Arc::new(Connections {
            builder: builder(&self.settings, tasks),
            edge,
            tls: self.settings.tls.clone().map(tokio_rustls::TlsAcceptor::from),
            open: metrics.connections("http"),
            token: token.clone(),
            settings: self.settings,
        });
        while let Some((stream, peer)) = self.listener.accept(&token).await {
            if let Ok(permit) = free.clone().try_acquire_owned() {
                let connections = connections.clone();
                tasks.spawn("http_connection", async move {
                    connections.serve(stream, peer).await;
                    drop(permit);
                });
            } else if connections.tls.is_none() {
                refusals.say(tasks, "http_refusal", stream, Bytes::from_static(REFUSAL));
            }
        }
    }
}

fn builder(settings: &HttpServerSettings, tasks: &Tasks) -> auto::Builder<StreamTasks> {
    let mut builder = auto::Builder::new(StreamTasks(tasks.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        // Time is kept by `guarded_io`, which tells a slow head from a connection at rest; hyper's timer does not.
        .header_read_timeout(None)
        // A head must fit the buffer, so this is the limit of both.
        .max_buf_size(settings.header_bytes.max(MIN_BUFFER_BYTES));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_MAX_STREAMS)
        .max_header_list_size(settings.header_bytes as u32)
        .initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(H2_SEND_BUFFER_BYTES)
        .keep_alive_interval(H2_PING_EVERY)
        .keep_alive_timeout(H2_PING_TIMEOUT);
    builder
}

/// HTTP/2 streams run as tasks like all others.
#[derive(Clone, Debug)]
struct StreamTasks(Tasks);

impl<F> hyper::rt::Executor<F> for StreamTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn("http2_stream", stream);
    }
}

#[cfg(test)]
mod http2_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod test_peer;
