//! A57: callers that never stop and never get anywhere: an octet at a time, or answers left unread.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::runtime::Builder;

use crate::emails_api::email_to;
use crate::harness::smtp::Session;
use crate::harness::{Server, ServerOptions};
use crate::smtp_ingress::{MESSAGE, address_of};

/// Each caller says a little so often: no wait for the next octet would ever end it.
const PACE: Duration = Duration::from_secs(1);
/// With the settings as they are shipped each caller is gone by then.
const LIMIT: Duration = Duration::from_secs(30);
/// Far below any limit.
const PATIENT: Duration = Duration::from_secs(3);
/// What a machine that does other work may add.
const SLACK: Duration = Duration::from_secs(10);
/// What all bodies together may take.
const BUDGET_MIB: u64 = 64;

/// A way to be slow.
#[derive(Clone)]
struct Slow {
    name: &'static str,
    callers: usize,
    address: SocketAddr,
    /// Waits for a greeting before it says anything.
    is_greeted: bool,
    /// Said at once.
    opening: Vec<u8>,
    /// Said over and over.
    drip: Vec<u8>,
    /// Takes what it is told.
    reads: bool,
    /// It is not sent away before: or it would prove nothing.
    at_least: Duration,
}

fn http(server: &Server) -> Vec<Slow> {
    let slow = |name, callers, opening: String, drip: &[u8]| Slow {
        name,
        callers,
        address: server.address(),
        is_greeted: false,
        opening: opening.into_bytes(),
        drip: drip.to_vec(),
        reads: true,
        at_least: PATIENT,
    };
    let post = "POST /api/emails HTTP/1.1\r\nHost: a\r\n";
    let key = server.key();
    let body = format!(
        "{post}X-Api-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{{"
    );
    let get = "GET /api/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n";
    vec![
        slow("a head", 400, format!("{post}X-Drip: "), b"x"),
        slow("a body", 400, body, b" "),
        Slow { reads: false, ..slow("unread answers", 100, get.repeat(100), b"G") },
    ]
}

/// RFC 9113, section 4.1.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A head in HPACK without compression of what varies (RFC 7541, section 6).
fn head(method: u8, path: &str, key: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("a short text");
        [&[length][..], text.as_bytes()].concat()
    };
    let block = [vec![method, 0x86, 0x04], text(path), vec![0x01], text("a"), vec![0x00], text("x-api-key")];
    [block.concat(), text(key), vec![0x0f, 0x10], text("application/json")].concat()
}

fn http2(server: &Server) -> Vec<Slow> {
    const GET: u8 = 0x82;
    const POST: u8 = 0x83;
    let preface =
        |settings: &[u8]| [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, settings)].concat();
    let slow = |name, opening, drip| Slow {
        name,
        callers: 200,
        address: server.address(),
        is_greeted: false,
        opening,
        drip,
        reads: true,
        at_least: PATIENT,
    };
    let key = server.key();
    // DATA of one octet each; pings are left unanswered.
    let body = [preface(&[]), frame(1, 4, 1, &head(POST, "/api/emails", key))].concat();
    // HEADERS of a hundred octets, of which none has come yet.
    let begun = [preface(&[]), vec![0, 0, 100, 1, 4, 0, 0, 0, 1]].concat();
    // SETTINGS_INITIAL_WINDOW_SIZE 0: no octet of an answer is ever taken; pings say that the peer is there.
    let closed = preface(&[0, 4, 0, 0, 0, 0]);
    let unread = [closed, frame(1, 5, 1, &head(GET, "/api/openapi.json", key))].concat();
    vec![
        slow("a head by HTTP/2", begun, vec![0x82]),
        slow("a body by HTTP/2", body, frame(0, 0, 1, b" ")),
        slow("unread answers by HTTP/2", unread, frame(6, 0, 0, &[0; 8])),
    ]
}

fn smtp(server: &Server) -> Vec<Slow> {
    let slow = |name, callers, opening: &str, drip: &[u8]| Slow {
        name,
        callers,
        address: address_of(server, "smtp"),
        is_greeted: true,
        opening: opening.into(),
        drip: drip.to_vec(),
        reads: true,
        at_least: PATIENT,
    };
    let envelope = "EHLO a\r\nMAIL FROM:<ann@example.com>\r\nRCPT TO:<bob@client.com>\r\nDATA\r\n";
    vec![
        slow("a command by SMTP", 200, "EHLO ", b"a"),
        slow("content by SMTP", 200, envelope, b"a"),
        // Many commands that do nothing end a session by themselves.
        Slow {
            reads: false,
            at_least: Duration::ZERO,
            ..slow("unread replies by SMTP", 100, &"NOOP\r\n".repeat(5_000), b"NOOP\r\n")
        },
    ]
}

/// Is slow until it is dropped; answers how long that took.
async fn drip(slow: Slow) -> io::Result<Duration> {
    let socket = TcpSocket::new_v4()?;
    if !slow.reads {
        // The smallest there is: what the kernels between hold would hide that nobody reads.
        socket.set_recv_buffer_size(1)?;
    }
    let (mut reader, mut writer) = socket.connect(slow.address).await?.into_split();
    let mut said = [0; 4096];
    if slow.is_greeted && reader.read(&mut said).await? == 0 {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let began = Instant::now();
    if writer.write_all(&slow.opening).await.is_err() {
        return Ok(began.elapsed());
    }
    let mut pace = tokio::time::interval(PACE);
    loop {
        tokio::select! {
            told = reader.read(&mut said), if slow.reads => match told {
                Ok(0) | Err(_) => return Ok(began.elapsed()),
                Ok(_) => {}
            },
            _ = pace.tick() => {
                if writer.write_all(&slow.drip).await.is_err() {
                    return Ok(began.elapsed());
                }
            }
        }
    }
}

/// How long a healthy client waits for an acceptance.
fn served(server: &Server) -> Duration {
    let began = Instant::now();
    server.send(&email_to("user@client.com", "healthy"));
    began.elapsed()
}

fn p99(mut waits: Vec<Duration>) -> Duration {
    waits.sort_unstable();
    waits[waits.len() * 99 / 100]
}

#[test]
fn a57_two_thousand_callers_that_drip_are_dropped_and_others_served() {
    let budget = format!("{BUDGET_MIB}MB");
    let server = Server::start(ServerOptions::default().env("POSTHASTE_LIMITS__MEMORY_FOR_BODIES", budget));
    // This side of the connections needs files, too.
    rlimit::increase_nofile_limit(8192).expect("room for the callers");
    let kinds = [http(&server), http2(&server), smtp(&server)].concat();
    assert_eq!(kinds.iter().map(|slow| slow.callers).sum::<usize>(), 2000);
    let calm = p99((0..100).map(|_| served(&server)).collect());
    let before = server.memory_kib("VmRSS");

    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let began = Instant::now();
    let callers: Vec<_> = kinds
        .iter()
        .flat_map(|slow| std::iter::repeat_n(slow, slow.callers))
        .map(|slow| (slow, runtime.spawn(drip(slow.clone()))))
        .collect();
    let mut waits = Vec::new();
    while callers.iter().any(|(_, caller)| !caller.is_finished()) {
        waits.push(served(&server));
        if waits.len() % 50 == 1 {
            let mut session = Session::open(address_of(&server, "smtp"));
            session.envelope("ann@example.com", "bob@client.com");
            session.data(MESSAGE).id();
        }
        let held: Vec<&str> =
            callers.iter().filter(|(_, caller)| !caller.is_finished()).map(|(slow, _)| slow.name).collect();
        assert!(began.elapsed() < LIMIT * 4, "{} are still there: {:?}", held.len(), held.first());
        // A client that sends ten a second: it is about the others, not about load.
        std::thread::park_timeout(PACE / 10);
    }
    let mut longest: BTreeMap<&str, Duration> = BTreeMap::new();
    for (slow, caller) in callers {
        let name = slow.name;
        let lasted =
            runtime.block_on(caller).expect("no panic").unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert!(lasted >= slow.at_least, "{name} was sent away after {lasted:?}");
        let longest = longest.entry(name).or_default();
        *longest = lasted.max(*longest);
    }
    let grown = server.memory_kib("VmHWM").saturating_sub(before) / 1024;
    let meanwhile = p99(waits);
    println!("dropped after {longest:?}; {grown} MiB more; p99 {calm:?}, meanwhile {meanwhile:?}");
    for (name, lasted) in longest {
        assert!(lasted <= LIMIT + SLACK, "{name} kept a connection for {lasted:?}");
    }
    assert!(grown <= BUDGET_MIB + 100, "{grown} MiB");
    // Twice as long as before; the second is for a machine that does other work.
    assert!(meanwhile <= calm * 2 + PACE, "{meanwhile:?} instead of {calm:?}");
}
