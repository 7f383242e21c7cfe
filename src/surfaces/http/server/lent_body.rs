//! A request's body that comes back from a handler that did not read it, so that its rest can be read away. hyper ends
//! a connection whose unread body has not arrived by the time it is dropped, and does not say so in the answer.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// How long an answer waits for the rest of a body that nobody reads.
const REST_TIME: Duration = Duration::from_millis(500);

/// Where a body comes back to.
#[derive(Clone, Debug, Default)]
pub struct Home(Arc<Mutex<Option<Incoming>>>);

impl Home {
    /// The body for its reader.
    pub fn lend(&self, body: Incoming) -> LentBody {
        LentBody { body: Some(body), home: self.clone() }
    }

    /// Reads away what is left of the body that came back; whether all of it came in time.
    pub async fn read_away(&self) -> bool {
        let returned = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = returned else { return false };
        let rest = async {
            while let Some(frame) = body.frame().await {
                if frame.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(REST_TIME, rest).await.unwrap_or(false)
    }
}

/// A body that goes home when its reader drops it.
#[derive(Debug)]
pub struct LentBody {
    body: Option<Incoming>,
    home: Home,
}

impl Drop for LentBody {
    fn drop(&mut self) {
        *self.home.0.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
    }
}

impl Body for LentBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.body.as_mut() {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
