use super::*;
use http::Request;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// A body fed by the test; ends when the sender is dropped.
struct Fed {
    chunks: mpsc::Receiver<Result<Bytes, std::io::Error>>,
    announced: u64,
}

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        self.chunks.poll_recv(cx).map(|next| next.map(|chunk| chunk.map(http_body::Frame::data)))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let mut hint = http_body::SizeHint::new();
        hint.set_lower(self.announced);
        hint
    }
}

type Feeder = mpsc::Sender<Result<Bytes, std::io::Error>>;

fn fed(announced: u64) -> (Feeder, Body) {
    let (sender, chunks) = mpsc::channel(64);
    (sender, Body::new(Fed { chunks, announced }))
}

fn bodies(limit: usize) -> (Bodies, Metrics) {
    let metrics = Metrics::new();
    let settings = BodySettings {
        limit,
        memory: limit * 8,
        timeout: Duration::from_secs(30),
        wait_for_room: Duration::from_secs(8),
    };
    (Bodies::new(settings, &metrics), metrics)
}

fn parts(headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[tokio::test]
async fn whole_and_chunked_bodies_arrive_unchanged() {
    let (bodies, metrics) = bodies(1_000_000);
    let held = bodies.read(&parts(&[]), Body::from("halo")).await.unwrap();
    assert_eq!(&held[..], b"halo");
    assert_eq!(metrics.body_bytes().get(), 4);
    drop(held);
    assert_eq!(&bodies.read(&parts(&[]), Body::empty()).await.unwrap()[..], b"");
    let (feeder, body) = fed(0);
    let text: Vec<u8> = (0..900_000_u32).map(|n| n as u8).collect();
    for chunk in text.chunks(20_000) {
        feeder.try_send(Ok(Bytes::copy_from_slice(chunk))).unwrap();
    }
    drop(feeder);
    assert_eq!(&bodies.read(&parts(&[]), body).await.unwrap()[..], &text[..]);
    assert_eq!(metrics.body_bytes().get(), 0);
}

#[tokio::test]
async fn too_large_is_refused_at_the_announcement_or_by_counting() {
    let (bodies, _) = bodies(1_000);
    let (_feeder, body) = fed(1_001);
    let refusal = bodies.read(&parts(&[]), body).await.unwrap_err();
    assert_eq!(refusal, BodyRefusal::TooLarge { limit: 1_000 });
    let (feeder, body) = fed(0);
    for _ in 0..11 {
        feeder.try_send(Ok(Bytes::from(vec![0; 100]))).unwrap();
    }
    let refusal = bodies.read(&parts(&[]), body).await.unwrap_err();
    assert_eq!(refusal, BodyRefusal::TooLarge { limit: 1_000 });
    assert_eq!(
        bodies.read_up_to(&parts(&[]), Body::from("12345"), 4).await.unwrap_err(),
        BodyRefusal::TooLarge { limit: 4 }
    );
}

#[tokio::test]
async fn encoded_and_broken_bodies_are_refused() {
    let (bodies, _) = bodies(1_000);
    for coding in ["gzip", "br", "identity, gzip"] {
        let parts = parts(&[("content-encoding", coding)]);
        assert_eq!(bodies.read(&parts, Body::from("x")).await.unwrap_err(), BodyRefusal::Encoded);
    }
    assert!(bodies.read(&parts(&[("content-encoding", "Identity")]), Body::from("x")).await.is_ok());
    let (feeder, body) = fed(100);
    feeder.try_send(Ok(Bytes::from_static(b"half"))).unwrap();
    feeder.try_send(Err(std::io::ErrorKind::UnexpectedEof.into())).unwrap();
    assert_eq!(bodies.read(&parts(&[]), body).await.unwrap_err(), BodyRefusal::Broken);
}

#[tokio::test]
async fn a_trickle_ends_after_the_timeout_and_a_decent_rate_does_not() {
    let metrics = Metrics::new();
    let settings = BodySettings { timeout: Duration::from_millis(150), ..BodySettings::default() };
    let bodies = Bodies::new(settings, &metrics);
    let mut parts = parts(&[]);
    let exchange = super::super::exchange::of(&parts);
    parts.extensions.insert(exchange.clone());
    let (feeder, body) = fed(30_000_000);
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let feed = async {
        // Ends when the reader has hung up.
        while feeder.send(Ok(Bytes::from_static(b"x"))).await.is_ok() {
            assert!(metrics.body_bytes().get() < 100_000, "memory follows what arrived");
            pace.tick().await;
        }
    };
    let (outcome, ()) = tokio::join!(bodies.read(&parts, body), feed);
    assert_eq!(outcome.unwrap_err(), BodyRefusal::TooSlow);
    assert_eq!(exchange.body_progress(), BodyProgress::TooSlow);

    // Longer than the timeout in all, but every piece earns its time.
    let (feeder, body) = fed(0);
    let feed = async move {
        for _ in 0..15 {
            feeder.send(Ok(Bytes::from(vec![7; 300 * 1024]))).await.unwrap();
            pace.tick().await;
        }
    };
    let (outcome, ()) = tokio::join!(bodies.read(&parts, body), feed);
    assert_eq!(outcome.unwrap().len(), 15 * 300 * 1024);
    assert_eq!(exchange.body_progress(), BodyProgress::Read);
}

#[tokio::test]
async fn without_room_a_large_body_waits_then_is_refused_and_small_ones_pass() {
    let metrics = Metrics::new();
    let wait_for_room = Duration::from_millis(30);
    let settings = BodySettings { limit: 1 << 20, memory: 2 << 20, wait_for_room, ..BodySettings::default() };
    let bodies = Bodies::new(settings, &metrics);
    let large = || Body::from(vec![b'x'; 1 << 20]);
    let held = bodies.read(&parts(&[]), large()).await.unwrap();
    let asked = Instant::now();
    let refusal = bodies.read(&parts(&[]), large()).await.unwrap_err();
    assert_eq!(refusal, BodyRefusal::Overloaded { retry_after_s: 5 });
    assert!(asked.elapsed() >= wait_for_room);
    assert!(bodies.read(&parts(&[]), Body::from("small")).await.is_ok());
    drop(held);
    assert!(bodies.read(&parts(&[]), large()).await.is_ok());
}
