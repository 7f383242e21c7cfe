//! One HTTP call to a provider, told apart by what matters for mail: was the request's body out before it failed? Then
//! the provider may have taken the message, and nobody may simply try again.

use super::repeated::Said;
use crate::outbound::{self, Answer, Outbound, Reach, Target};
use crate::transports::LeaseGuard;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body::{Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// For the connection, and for the answer from the last byte of the request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
/// The slowest upload that is waited for, bytes a second.
const UPLOAD_MIN: u64 = 64 * 1024;
/// The body is handed to the connection in pieces of this size, so that "all of it is out" comes late.
const PIECE: usize = 64 * 1024;
/// The longest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 * 1024;

/// The HTTP client of one provider's account. Clones share its connections.
#[derive(Clone, Debug)]
pub(super) struct Http(Outbound);

/// A request.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub method: Method,
    pub url: &'a str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<Bytes>,
    /// Must be held when the first byte of the body goes out. `None`: the request sends no mail.
    pub lease: Option<&'a LeaseGuard>,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    /// Its first 64 KiB; where it is no success, without our credentials.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// The lease was over before the message went out.
    LeaseLost,
    /// The request was not sent whole.
    NotSent(String),
    /// The request was sent whole, or may have been.
    Unanswered(String),
}

impl Reply {
    /// A header's value as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the request was done.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Http {
    /// A client. Base URLs are the operator's own: they may lead into a private network, never to a link-local address.
    pub fn new() -> Result<Self, String> {
        Outbound::new(Reach::Private).map(Self).map_err(|error| error.to_string())
    }

    /// Makes the call and reads the answer. An answer whose body breaks off counts: its status has been said.
    pub async fn call(&self, call: Call<'_>) -> Result<Reply, CallError> {
        let target = Target::own(call.url).map_err(|error| CallError::NotSent(format!("the URL {error}")))?;
        let said = Said::of(&call.headers, &call.body);
        let progress = Arc::new(Progress::default());
        let body = Outward::new(call.body, call.lease.cloned(), &progress);
        let timeout = ANSWER_TIMEOUT + Duration::from_secs(body.left / UPLOAD_MIN);
        let mut headers = HeaderMap::new();
        for (name, value) in call.headers {
            let value = HeaderValue::from_str(&value)
                .map_err(|_| CallError::NotSent(format!("{name} holds what no header can hold")))?;
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| odd(name))?, value);
        }
        if body.left == 0 {
            // Nothing tells the last byte of such a request from its first.
            progress.is_out.store(true, Ordering::Release);
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let request = outbound::Call {
            method: call.method,
            headers,
            timeout,
            answer_max: ANSWER_MAX,
            ..outbound::Call::post(target)
        };
        match self.0.call_with(request, body).await {
            Ok(Answer { status, headers, body, .. }) => {
                let reply = Reply { status, headers, body };
                Ok(if reply.is_success() {
                    reply
                } else {
                    Reply { body: said.hidden_in(reply.body), ..reply }
                })
            }
            Err(fault) => Err(progress.judge(!fault.is_sent(), fault.to_string())),
        }
    }
}

fn odd(name: &str) -> CallError {
    CallError::NotSent(format!("{name} is no header"))
}

/// How far a request came.
#[derive(Debug, Default)]
struct Progress {
    is_out: AtomicBool,
    lease_lost: AtomicBool,
}

impl Progress {
    fn judge(&self, not_connected: bool, reason: String) -> CallError {
        if self.lease_lost.load(Ordering::Acquire) {
            CallError::LeaseLost
        } else if !not_connected && self.is_out.load(Ordering::Acquire) {
            CallError::Unanswered(reason)
        } else {
            CallError::NotSent(reason)
        }
    }
}

/// The lease ended before the body began.
#[derive(Debug, thiserror::Error)]
#[error("the lease is over")]
struct LeaseIsOver;

/// A request's body on its way out.
struct Outward {
    pieces: VecDeque<Bytes>,
    left: u64,
    lease: Option<LeaseGuard>,
    progress: Arc<Progress>,
}

impl Outward {
    fn new(chunks: Vec<Bytes>, lease: Option<LeaseGuard>, progress: &Arc<Progress>) -> Self {
        let left = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let mut pieces = VecDeque::new();
        for mut chunk in chunks {
            while !chunk.is_empty() {
                pieces.push_back(chunk.split_to(chunk.len().min(PIECE)));
            }
        }
        Self { pieces, left, lease, progress: Arc::clone(progress) }
    }
}

impl http_body::Body for Outward {
    type Data = Bytes;
    type Error = LeaseIsOver;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, LeaseIsOver>>> {
        if self.lease.take().is_some_and(|lease| !lease.still_held()) {
            self.progress.lease_lost.store(true, Ordering::Release);
            self.pieces.clear();
            return Poll::Ready(Some(Err(LeaseIsOver)));
        }
        let piece = self.pieces.pop_front();
        if let Some(piece) = &piece {
            self.left = self.left.saturating_sub(piece.len() as u64);
        }
        if self.left == 0 {
            self.progress.is_out.store(true, Ordering::Release);
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transports::Pulse;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn call<'a>(url: &'a str, body: Vec<Bytes>, lease: Option<&'a LeaseGuard>) -> Call<'a> {
        Call { method: Method::POST, url, headers: vec![("Content-Type", "text/plain".into())], body, lease }
    }

    /// A server that reads `read` bytes of one connection, says `answer` and closes.
    async fn server(read: usize, answer: &'static str) -> (String, tokio::task::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        #[expect(clippy::disallowed_methods, reason = "the other end of a test")]
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut got = vec![0; read];
            stream.read_exact(&mut got).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            if !answer.is_empty() {
                // What was not read would make of the end a reset, which may overtake the answer.
                stream.shutdown().await.unwrap();
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
            got
        });
        (url, served)
    }

    #[tokio::test]
    async fn an_answer_is_read_with_its_headers() {
        let answer = "HTTP/1.1 202 Accepted\r\nX-Message-Id: m1\r\nContent-Length: 2\r\n\r\n{}";
        let (url, _served) = server(40, answer).await;
        let http = Http::new().unwrap();
        let reply = http.call(call(&url, vec![Bytes::from_static(b"abc")], None)).await.unwrap();
        assert_eq!((reply.status, reply.header("x-message-id")), (202, Some("m1")));
        assert!(reply.is_success() && reply.json().is_object());
    }

    #[tokio::test]
    async fn a_loss_before_the_end_of_the_body_is_told_from_one_after() {
        let http = Http::new().unwrap();
        let (url, _served) = server(200, "").await;
        // More than what the buffers between us hold.
        let large = Bytes::from(vec![b'x'; 64 << 20]);
        let lost = http.call(call(&url, vec![large], None)).await.unwrap_err();
        assert!(matches!(lost, CallError::NotSent(_)), "{lost:?}");
        let (url, _served) = server(60, "").await;
        let lost = http.call(call(&url, vec![Bytes::from_static(b"abc")], None)).await.unwrap_err();
        assert!(matches!(lost, CallError::Unanswered(_)), "{lost:?}");
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let url = format!("http://{free}/");
        let refused = http.call(call(&url, vec![Bytes::from_static(b"abc")], None)).await.unwrap_err();
        assert!(matches!(refused, CallError::NotSent(_)), "{refused:?}");
    }

    #[tokio::test]
    async fn nothing_of_the_message_goes_out_without_the_lease() {
        let (url, served) = server(1, "").await;
        let lease = LeaseGuard::new(&Pulse::new(Duration::from_hours(1)), Instant::now(), Duration::ZERO);
        let body = vec![Bytes::from_static(b"secret message")];
        let lost = Http::new().unwrap().call(call(&url, body, Some(&lease))).await.unwrap_err();
        assert_eq!(lost, CallError::LeaseLost);
        served.abort();
    }
}
