use super::test_peer::{PATIENCE, Peer, TestServer, quick, start};
use super::*;
use tokio::io::AsyncReadExt;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// RFC 9113, section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A head in HPACK without compression of what varies (RFC 7541, section 6).
fn head(method: &str, path: &str) -> Vec<u8> {
    let mut block = vec![if method == "POST" { 0x83 } else { 0x82 }, 0x86];
    block.extend([0x04, path.len() as u8]);
    block.extend(path.bytes());
    block.extend([0x01, 1, b'x']);
    block
}

async fn greet(server: &TestServer, settings: &[u8]) -> Peer {
    let mut peer = server.connect().await;
    peer.send([PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()).await;
    peer
}

/// The next frame: kind, flags, stream, payload; nothing when the server has closed.
async fn next_frame(peer: &mut Peer) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    let read = peer.stream.read_exact(&mut head);
    tokio::time::timeout(PATIENCE, read).await.expect("a frame or the end comes").ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let mut payload = vec![0; length];
    peer.stream.read_exact(&mut payload).await.ok()?;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((head[3], head[4], stream, payload))
}

/// Reads frames until one of `kind` comes.
async fn until(peer: &mut Peer, kind: u8) -> Option<Vec<u8>> {
    loop {
        let (got, _, _, payload) = next_frame(peer).await?;
        if got == kind {
            return Some(payload);
        }
    }
}

/// How a flood ended: the server hung up, or said so first.
async fn ends(peer: &mut Peer) {
    while let Some((kind, ..)) = next_frame(peer).await {
        if kind == GOAWAY {
            return;
        }
    }
}

async fn still_serves(server: &TestServer) {
    let answer = server.exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("halo"), "{answer}");
}

#[tokio::test]
async fn answers_and_rests_with_pings_that_do_not_prolong_it() {
    let server = start(quick());
    let mut peer = greet(&server, &[]).await;
    peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &head("GET", "/"))).await;
    // 0x88 is `:status: 200` (RFC 7541, appendix A).
    assert_eq!(until(&mut peer, HEADERS).await.unwrap()[0], 0x88);
    assert_eq!(until(&mut peer, DATA).await.unwrap(), b"halo");
    let begun = std::time::Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    while begun.elapsed() < Duration::from_millis(1_300) {
        pace.tick().await;
        peer.send(frame(PING, 0, 0, &[0; 8])).await;
    }
    assert_eq!(until(&mut peer, HEADERS).await, None);
    server.no_connection_is_open().await;
}

#[tokio::test]
async fn slow_heads_slow_bodies_and_unread_answers_are_dropped() {
    let server = start(quick());
    let mut silent = greet(&server, &[]).await;
    assert_eq!(until(&mut silent, HEADERS).await, None);

    let mut slow = greet(&server, &[]).await;
    slow.send(frame(HEADERS, END_HEADERS, 1, &head("POST", "/echo"))).await;
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..9 {
        pace.tick().await;
        slow.send(frame(DATA, 0, 1, b"x")).await;
    }
    let mut said = Vec::new();
    while let Some((kind, ..)) = next_frame(&mut slow).await {
        said.push(kind);
    }
    assert!(said.contains(&HEADERS) && said.contains(&GOAWAY), "{said:?}");

    // SETTINGS_INITIAL_WINDOW_SIZE 0: the peer never takes a byte of an answer.
    let mut closed = greet(&server, &[0, 4, 0, 0, 0, 0]).await;
    closed.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &head("GET", "/"))).await;
    assert_eq!(until(&mut closed, DATA).await, None);
    server.no_connection_is_open().await;
}

#[tokio::test]
async fn floods_end_the_connection_and_nothing_else() {
    let server = start(quick());
    // CONTINUATION without end (CVE-2024-27316 and its kind).
    let mut peer = greet(&server, &[]).await;
    peer.send(frame(HEADERS, END_STREAM, 1, &head("GET", "/"))).await;
    let part = frame(CONTINUATION, 0, 1, &[0x00, 1, b'a', 1, b'b'].repeat(2_000));
    for _ in 0..200 {
        peer.send(&part).await;
    }
    ends(&mut peer).await;
    still_serves(&server).await;

    // Rapid reset (CVE-2023-44487).
    let mut peer = greet(&server, &[]).await;
    let mut flood = Vec::new();
    for n in 0..5_000 {
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &head("GET", "/wait")));
        flood.extend(frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes()));
    }
    peer.send(&flood).await;
    ends(&mut peer).await;
    still_serves(&server).await;

    // Empty DATA frames carry nothing and never end.
    let mut peer = greet(&server, &[]).await;
    peer.send(frame(HEADERS, END_HEADERS, 1, &head("POST", "/echo"))).await;
    let empty = frame(DATA, 0, 1, &[]).repeat(10_000);
    for _ in 0..20 {
        peer.send(&empty).await;
    }
    ends(&mut peer).await;
    still_serves(&server).await;
    server.no_connection_is_open().await;
}
