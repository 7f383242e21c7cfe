//! A56: receivers that answer a byte at a time, that are no TLS server or one that nobody vouches for, that never stop
//! answering: each is given up on in time and tried again, and nobody else waits for it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{deliveries, options, text, wait_for, webhook};
use crate::emails_api::email_to;
use crate::harness::{Receiver, Server, eventually};

const EMAILS: usize = 6;

/// A listener that handles each connection by `handle` on a thread of its own; how many came.
fn listener(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (handle, count) = (Arc::new(handle), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::Relaxed);
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle(stream));
        }
    });
    (address, count)
}

/// Answers 200 a byte a second: whole only after most of a minute.
fn dribble(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 4096]);
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        thread::park_timeout(Duration::from_secs(1));
    }
}

/// Answers 200 at once, and a body that has no end.
fn pour(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 4096]);
    let piece = [b'x'; 8192];
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
    while stream.write_all(&piece).is_ok() {}
}

/// A TLS server by a certificate that nobody vouches for.
fn self_signed() -> impl Fn(TcpStream) + Send + Sync + 'static {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config =
        rustls::ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a configuration");
    let config = Arc::new(config);
    move |mut stream| {
        let Ok(mut tls) = rustls::ServerConnection::new(Arc::clone(&config)) else { return };
        let mut tls = rustls::Stream::new(&mut tls, &mut stream);
        // Never gets this far: the caller hangs up when it has seen the certificate.
        let _ = tls.read(&mut [0; 4096]);
        let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
}

#[test]
fn a56_bad_receivers_are_tried_again_and_hold_up_nobody() {
    let server = Server::start(options().env("POSTHASTE_WEBHOOKS__TIMEOUT", "1s"));
    let good = Receiver::start();
    let (slow, slow_calls) = listener(dribble);
    let (unvouched, unvouched_calls) = listener(self_signed());
    let (plain, plain_calls) = listener(dribble);
    let bad = [
        (format!("http://{slow}/hook"), slow_calls),
        (format!("https://{unvouched}/hook"), unvouched_calls),
        // No TLS at all.
        (format!("https://{plain}/hook"), plain_calls),
    ];
    let bad: Vec<_> = bad.map(|(url, calls)| (webhook(&server, &url, &["*"]), calls)).into();
    webhook(&server, &good.url(), &["*"]);
    for n in 0..EMAILS {
        server.send(&email_to(&format!("u{n}@client.com"), "x"));
    }
    // The good one hears everything, each email in order, while no bad one has heard anything.
    let told = wait_for(&good, 2 * EMAILS);
    for n in 0..EMAILS {
        let recipient = format!("u{n}@client.com");
        let of = told
            .iter()
            .map(super::Received::json)
            .filter(|told| told["data"]["recipient"] == recipient.as_str());
        let kinds: Vec<String> = of.map(|told| text(&told, "type").to_owned()).collect();
        assert!(kinds.is_sorted_by_key(|kind| kind != "email.queued"), "{recipient}: {kinds:?}");
    }
    for (made, calls) in &bad {
        let id = text(made, "id");
        let log = eventually("it is tried again", || {
            let log = deliveries(&server, id);
            log.iter().any(|one| one["attempt_count"].as_u64() >= Some(2)).then_some(log)
        });
        assert!(log.iter().all(|one| one["status"] == "pending"), "{log:#?}");
        let failed = log.iter().flat_map(|one| one["attempts"].as_array().cloned().unwrap_or_default());
        let failed: Vec<Value> = failed.collect();
        assert!(
            !failed.is_empty() && failed.iter().all(|one| one["status_code"] == Value::Null),
            "{failed:#?}"
        );
        assert!(failed.iter().all(|one| one["error"].is_string()), "{failed:#?}");
        assert!(calls.load(Ordering::Relaxed) >= 2, "{log:#?}");
    }
    server.wait_healthy();
}

#[test]
fn a56_an_answer_without_end_is_not_read_to_it() {
    let server = Server::start(options());
    let (address, calls) = listener(pour);
    let made = webhook(&server, &format!("http://{address}/hook"), &["email.sent"]);
    let before = server.memory_kib("VmRSS");
    for n in 0..EMAILS {
        server.send(&email_to(&format!("u{n}@client.com"), "x"));
    }
    eventually("all is told", || {
        let log = deliveries(&server, text(&made, "id"));
        (log.len() == EMAILS && log.iter().all(|one| one["status"] == "delivered")).then_some(())
    });
    assert_eq!(calls.load(Ordering::Relaxed), EMAILS);
    let grown = server.memory_kib("VmRSS").saturating_sub(before);
    assert!(grown < 20 * 1024, "{grown} KiB");
}
