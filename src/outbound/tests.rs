//! Calls to a real listener: what is judged at connect.

use super::*;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers every connection's first request with `answer`; counts connections.
async fn peer(answer: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let tasks = crate::base::tasks::Tasks::new();
    let _running = tasks.spawn("test.peer", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    (address, count)
}

/// One name for each look-up in turn; the last one stays.
struct Changing(std::sync::Mutex<Vec<Vec<IpAddr>>>);

impl Names for Changing {
    fn look_up(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { Ok(answer.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect()) })
    }
}

fn call(url: &str) -> Call {
    Call {
        timeout: Duration::from_secs(5),
        answer_max: 8,
        ..Call::post(Target::given(url, Reach::Private).unwrap())
    }
}

#[tokio::test]
async fn a_literal_address_inside_is_never_connected_to() {
    let (address, count) = peer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let outbound = Outbound::new(Reach::Public).unwrap();
    let refused = outbound.call(call(&format!("http://{address}/"))).await;
    assert!(matches!(refused, Err(CallFault::Forbidden(_))), "{refused:?}");
    let refused = outbound.call(call(&format!("http://localhost:{}/", address.port()))).await;
    assert!(matches!(refused, Err(CallFault::Forbidden(_))), "{refused:?}");
    assert_eq!(count.load(Ordering::SeqCst), 0);
    let own = Outbound::new(Reach::Private).unwrap();
    assert_eq!(own.call(call(&format!("http://{address}/"))).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_name_is_judged_by_the_addresses_that_are_connected_to() {
    let (address, count) = peer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let (here, outside) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)));
    let url = format!("http://rebinding.example:{}/", address.port());
    // Public beside private, and a name that changes after it was looked at.
    for answers in [vec![vec![outside, here]], vec![vec![here, outside]], vec![vec![here], vec![outside]]] {
        let names = Changing(std::sync::Mutex::new(answers));
        let refused = Outbound::resolving(Reach::Public, names).unwrap().call(call(&url)).await;
        assert!(matches!(refused, Err(CallFault::Forbidden(_))), "{refused:?}");
        assert!(!refused.unwrap_err().is_sent());
    }
    assert_eq!(count.load(Ordering::SeqCst), 0, "not one connection");
}

#[tokio::test]
async fn redirects_are_answers_and_bodies_are_bounded() {
    let (inside, count) = peer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let location =
        format!("HTTP/1.1 302 Found\r\nlocation: http://{inside}/\r\ncontent-length: 12\r\n\r\nhello, world");
    let (address, _) = peer(Box::leak(location.into_boxed_str()).as_bytes()).await;
    let outbound = Outbound::new(Reach::Private).unwrap();
    let answer = outbound.call(call(&format!("http://{address}/"))).await.unwrap();
    assert_eq!((answer.status, answer.body.as_ref(), answer.is_cut), (302, b"hello, w".as_slice(), true));
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn faults_tell_whether_the_peer_may_have_the_request() {
    let outbound = Outbound::new(Reach::Private).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let fault = outbound.call(call(&format!("http://{address}/"))).await.unwrap_err();
    assert!(matches!(fault, CallFault::NoConnection(_)) && !fault.is_sent(), "{fault:?}");
    let (address, _) = peer(b"").await;
    let fault = outbound.call(call(&format!("http://{address}/"))).await.unwrap_err();
    assert!(matches!(fault, CallFault::Lost(_)) && fault.is_sent(), "{fault:?}");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut slow = call(&format!("http://{}/", silent.local_addr().unwrap()));
    slow.timeout = Duration::from_millis(50);
    let fault = outbound.call(slow).await.unwrap_err();
    assert!(matches!(fault, CallFault::TimedOut(_)) && fault.is_sent(), "{fault:?}");
}

#[tokio::test]
async fn where_the_status_alone_counts_it_stands_whatever_becomes_of_the_body() {
    const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab";
    let outbound = Outbound::new(Reach::Private).unwrap();
    let (address, _) = peer(HALF).await;
    let url = format!("http://{address}/");
    let fault = outbound.call(call(&url)).await.unwrap_err();
    assert!(matches!(fault, CallFault::Lost(_)), "{fault:?}");
    let answer = outbound.tell(call(&url)).await.unwrap();
    assert_eq!((answer.status, answer.is_cut), (200, true));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let tasks = crate::base::tasks::Tasks::new();
    let _running = tasks.spawn("test.slow", async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(HALF).await;
        std::future::pending::<()>().await;
    });
    let slow = Call { timeout: Duration::from_secs(2), ..call(&url) };
    let answer = outbound.tell(slow).await.unwrap();
    assert_eq!((answer.status, answer.is_cut), (200, true));
}
