use super::test_peer::{PATIENCE, quick, start};
use super::*;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn requests_share_a_connection_until_it_rests_too_long() {
    let server = start(quick());
    let mut peer = server.connect().await;
    for _ in 0..3 {
        peer.send(GET).await;
        let answer = peer.read_until("halo").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("x-correlation-id: "), "{answer}");
    }
    let rested = Instant::now();
    assert_eq!(peer.read_to_end().await, "");
    // Rest is not a slow head: it has its own, longer time.
    assert!(rested.elapsed() >= Duration::from_millis(800), "{:?}", rested.elapsed());
    server.no_connection_is_open().await;
}

#[tokio::test]
async fn silent_and_slow_peers_are_dropped() {
    let mut settings = quick();
    settings.idle_timeout = PATIENCE * 2;
    let server = start(settings);
    assert_eq!(server.connect().await.read_to_end().await, "");
    for before in ["", GET] {
        let mut peer = server.connect().await;
        if !before.is_empty() {
            peer.send(before).await;
            peer.read_until("halo").await;
        }
        let begun = Instant::now();
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        for byte in GET.bytes().cycle().take(40).filter(|&b| b != b'\n') {
            pace.tick().await;
            peer.send([byte]).await;
            if begun.elapsed() > Duration::from_millis(700) {
                break;
            }
        }
        assert_eq!(peer.read_to_end().await, "", "after {before:?}");
    }
    server.no_connection_is_open().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_dropped() {
    let server = start(quick());
    let mut peer = server.connect().await;
    peer.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    server.no_connection_is_open().await;
    drop(peer);
}

#[tokio::test]
async fn a_peer_that_reads_slowly_but_steadily_gets_all() {
    let server = start(quick());
    let mut peer = server.connect().await;
    peer.send("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let mut pace = tokio::time::interval(Duration::from_millis(25));
    let (mut piece, mut received) = (vec![0; 1 << 20], 0);
    loop {
        pace.tick().await;
        match peer.stream.read(&mut piece).await.unwrap() {
            0 => break,
            n => received += n,
        }
    }
    assert!(received > 64 << 20, "{received}");
}

#[tokio::test]
async fn work_of_ours_is_not_the_peers_slowness() {
    let server = start(quick());
    let mut peer = server.connect().await;
    peer.send("GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    server.gate.add_permits(1);
    assert!(peer.read_to_end().await.ends_with("waited"));
}

#[tokio::test]
async fn framing_that_two_parsers_could_read_differently_is_refused() {
    let server = start(quick());
    let post = "POST /echo HTTP/1.1\r\nHost: x\r\n";
    let table = [
        ("two lengths", format!("{post}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde")),
        ("length list", format!("{post}Content-Length: 4, 5\r\n\r\nabcde")),
        ("negative length", format!("{post}Content-Length: -1\r\n\r\n")),
        ("length with plus", format!("{post}Content-Length: +4\r\n\r\nabcd")),
        ("obs-fold", format!("{post}X-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n")),
        ("space before colon", format!("{post}Content-Length : 4\r\n\r\nabcd")),
        ("bare CR", format!("{post}X-A: 1\rX-B: 2\r\n\r\n")),
        ("NUL in value", format!("{post}X-A: 1\0\r\n\r\n")),
        ("chunked not last", format!("{post}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n")),
        ("chunked and 1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into()),
        ("bad chunk size", format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n")),
        ("chunk too long", format!("{post}Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n")),
        ("chunk size overflow", format!("{post}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc")),
        ("no host", "GET / HTTP/1.1\r\n\r\n".into()),
        ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n".into()),
        ("not HTTP", "EHLO example.com\r\n\r\n".into()),
    ];
    for (name, request) in table {
        let mut peer = server.connect().await;
        peer.send(&request).await;
        let answer =
            if name.ends_with("host") { peer.read_until("}").await } else { peer.read_to_end().await };
        assert!(
            answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.0 400 "),
            "{name}: {answer:?}"
        );
        assert!(!answer.contains(" 200 OK"), "{name}: {answer:?}");
    }
    // Both: the length is ignored and the connection ends (RFC 9112, section 6.1), so nothing hides behind it.
    let both = format!(
        "{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{}",
        "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    );
    let answer = server.exchange(both).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[tokio::test]
async fn heads_beyond_the_limits_are_answered_431() {
    let server = start(quick());
    let many = |n: usize| (0..n).fold(String::new(), |all, n| all + &format!("x-{n}: 1\r\n"));
    for (fields, status) in [
        (many(90), "HTTP/1.1 200 "),
        (many(101), "HTTP/1.1 431 "),
        (many(10_000), "HTTP/1.1 431 "),
        (format!("x-big: {}\r\n", "x".repeat(30_000)), "HTTP/1.1 200 "),
        (format!("x-big: {}\r\n", "x".repeat(64_000)), "HTTP/1.1 431 "),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
        let answer = server.exchange(&request).await;
        assert!(answer.starts_with(status), "{} bytes: {:?}", request.len(), &answer[..answer.len().min(60)]);
    }
}

#[tokio::test]
async fn beyond_the_connections_allowed_503_is_said_at_once() {
    let mut settings = quick();
    settings.max_connections = 2;
    settings.idle_timeout = Duration::from_secs(60);
    let server = start(settings);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut peer = server.connect().await;
        peer.send(GET).await;
        peer.read_until("halo").await;
        held.push(peer);
    }
    let answer = server.exchange(GET).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("Retry-After: 1") && head.contains(&format!("Content-Length: {}", body.len())),
        "{head}"
    );
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(value["code"], "overloaded");
    drop(held.pop());
    let freed = async {
        while !server
            .exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .contains("halo")
        {}
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("a freed place is given again");
}

#[tokio::test]
async fn bodies_too_large_slow_or_cut_off_are_refused_and_the_answer_arrives() {
    let server = start(quick());
    let head = |length: usize| format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    // All of it is sent before the answer is read: it must not be lost to a reset.
    let size = (1 << 20) + 1;
    let answer = server.exchange([head(size).as_bytes(), &vec![b'x'; size]].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let unauthorized = head(size * 4).replace("/echo", "/unauthorized");
    let answer = server.exchange([unauthorized.as_bytes(), &vec![b'x'; size * 4]].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");

    let mut peer = server.connect().await;
    peer.send(head(40)).await;
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..9 {
        pace.tick().await;
        peer.send("x").await;
    }
    let answer = peer.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");

    let mut peer = server.connect().await;
    peer.send(head(40)).await;
    peer.send("half").await;
    peer.stream.shutdown().await.unwrap();
    let answer = peer.read_to_end().await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");

    let mut peer = server.connect().await;
    peer.send(format!("{}12345", head(5).replace("/echo", "/unauthorized"))).await;
    assert!(peer.read_until("}").await.starts_with("HTTP/1.1 401 "));
    peer.send(GET).await;
    assert!(
        peer.read_until("halo").await.starts_with("HTTP/1.1 200 "),
        "a small rest does not cost the connection"
    );
}

#[tokio::test]
async fn an_answer_before_the_body_keeps_the_connection_or_says_that_it_ends() {
    let server = start(quick());
    let head = "POST /unauthorized HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n";
    // Head and body in two pieces, as many clients send them.
    let mut peer = server.connect().await;
    for _ in 0..3 {
        peer.send(format!("{head}\r\n")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        peer.send("12345").await;
        let answer = peer.read_until("}").await;
        assert!(answer.starts_with("HTTP/1.1 401 ") && !answer.contains("connection: close"), "{answer}");
    }
    peer.send(GET).await;
    peer.read_until("halo").await;
    // A body that does not come, and one that waits for a word before it does.
    for fields in ["", "Expect: 100-continue\r\n"] {
        let mut peer = server.connect().await;
        peer.send(format!("{head}{fields}\r\n")).await;
        let answer = peer.read_until("}").await;
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn shutdown_answers_what_was_begun_and_closes_the_rest() {
    let mut settings = quick();
    settings.idle_timeout = Duration::from_secs(60);
    let server = start(settings);
    let mut idle = server.connect().await;
    idle.send(GET).await;
    idle.read_until("halo").await;
    let mut busy = server.connect().await;
    busy.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let begun = async {
        while server.metrics.connections("http").get() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.unwrap();
    let peers = async {
        assert_eq!(idle.read_to_end().await, "");
        server.gate.add_permits(1);
        assert!(busy.read_to_end().await.ends_with("waited"));
    };
    let (drained, ()) = tokio::join!(server.tasks.shutdown(PATIENCE), peers);
    assert!(drained);
    server.serving.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn tls_offers_both_versions_and_ends_slow_handshakes() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let mut settings = quick();
    settings.tls = Some(tls::server_config(chain.as_bytes(), key.as_bytes()).unwrap());
    let server = start(settings);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let stream = TcpStream::connect(server.address).await.unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.ends_with(b"halo"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(server.connect().await.read_to_end().await, "");
    assert!(matches!(tls::server_config(b"", key.as_bytes()), Err(tls::TlsError::NoCertificate)));
    assert!(matches!(tls::server_config(chain.as_bytes(), b"x"), Err(tls::TlsError::Key(_))));
}
