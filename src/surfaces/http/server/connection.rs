//! One connection from its acceptance to its end.

use super::guarded_io::{GuardedIo, Times};
use super::lent_body::Home;
use super::watch::{ConnectionWatch, WatchedBody};
use super::{Edge, HttpServerSettings, Origin, StreamTasks};
use crate::surfaces::http::body::SMALL_BYTES;
use crate::surfaces::http::exchange::BodyProgress;
use axum::body::Body;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use prometheus_client::metrics::gauge::Gauge;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How long the peer of a spoiled connection may take for what was said to it last.
const FAREWELL: Duration = Duration::from_secs(1);

/// What all connections of a listener share.
pub struct Connections {
    pub builder: auto::Builder<StreamTasks>,
    pub edge: Arc<Edge>,
    pub tls: Option<TlsAcceptor>,
    pub open: Gauge,
    pub token: CancellationToken,
    pub settings: HttpServerSettings,
}

impl Connections {
    /// Serves one connection to its end.
    pub async fn serve(&self, stream: TcpStream, peer: SocketAddr) {
        let _open = Open::count(&self.open);
        // Answers are written whole: waiting for more (Nagle) only adds 40 ms to those that do not fill a packet.
        let _ = stream.set_nodelay(true);
        let Some(acceptor) = &self.tls else {
            return self.converse(stream, Origin { peer, tls: false }).await;
        };
        match tokio::time::timeout(self.settings.header_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.converse(stream, Origin { peer, tls: true }).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn converse<S>(&self, stream: S, origin: Origin)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let settings = &self.settings;
        let times = Times {
            header: settings.header_timeout,
            idle: settings.idle_timeout,
            write: settings.write_timeout,
        };
        let watch = Arc::new(ConnectionWatch::new());
        let io = TokioIo::new(GuardedIo::new(stream, watch.clone(), times));
        let service = Requests { edge: self.edge.clone(), watch: watch.clone(), origin };
        let mut conversation = pin!(self.builder.serve_connection(io, service));
        let mut cancelled = pin!(self.token.cancelled());
        let mut spoiled = pin!(watch.spoiled());
        let mut is_spoiled = false;
        let ended = tokio::select! {
            biased;
            ended = conversation.as_mut() => Some(ended),
            () = &mut cancelled => None,
            () = &mut spoiled => {
                is_spoiled = true;
                None
            }
        };
        let ended = if let Some(ended) = ended {
            ended
        } else {
            conversation.as_mut().graceful_shutdown();
            let last_call = tokio::time::sleep(settings.drain);
            // HTTP/2 says good-bye and waits for a sign that it was heard, which a peer that drips never gives.
            let heard = async { if is_spoiled { watch.rested_for(FAREWELL).await } else { pending().await } };
            tokio::select! {
                biased;
                ended = conversation => ended,
                () = heard => return,
                () = last_call => {
                    tracing::debug!("a connection was closed with requests still open");
                    return;
                }
            }
        };
        if let Err(error) = ended {
            tracing::trace!(error = &*error, "a connection ended early");
        }
    }
}

/// The requests of one connection.
struct Requests {
    edge: Arc<Edge>,
    watch: Arc<ConnectionWatch>,
    origin: Origin,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response<WatchedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<WatchedBody>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let is_http2 = request.version() >= Version::HTTP_2;
        let active = self.watch.begin(is_http2);
        let (edge, watch, origin) = (self.edge.clone(), self.watch.clone(), self.origin);
        Box::pin(async move {
            let has_body = !request.body().is_end_stream();
            let is_small = request.body().size_hint().exact().is_some_and(|size| size <= SMALL_BYTES as u64);
            // Whoever waits for `100 Continue` is not asked for a body that nobody reads.
            let is_lent = has_body && is_small && !is_http2 && !request.headers().contains_key(EXPECT);
            let home = is_lent.then(Home::default);
            let request = request.map(|body| match &home {
                Some(home) => Body::new(home.lend(body)),
                None => Body::new(body),
            });
            let (mut response, exchange) = edge.answer(request, origin).await;
            match exchange.body_progress() {
                BodyProgress::Unread if has_body && !is_http2 => {
                    // Behind a small rest that comes at once the connection lives on.
                    let is_over = match &home {
                        Some(home) => home.read_away().await,
                        None => false,
                    };
                    if !is_over {
                        watch.leave_body_unread();
                        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                }
                BodyProgress::TooSlow if is_http2 => watch.spoil(),
                BodyProgress::TooSlow => {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                BodyProgress::Unread | BodyProgress::Read => {}
            }
            Ok(response.map(|body| WatchedBody::new(body, active)))
        })
    }
}

/// Counts a connection while it is open.
struct Open<'g>(&'g Gauge);

impl<'g> Open<'g> {
    fn count(gauge: &'g Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
