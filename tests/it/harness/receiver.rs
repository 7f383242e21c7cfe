//! A receiver of webhooks: an HTTP server that remembers every call and answers as a test tells it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

/// A call as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    /// The only header of that name.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let first = found.next().unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        assert!(found.next().is_none(), "{name} stands twice");
        &first.1
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// What is answered to a call; `None`: nothing, until the caller hangs up.
pub type Answering = dyn Fn(&Received, usize) -> Option<String> + Send + Sync;

struct Shared {
    calls: Mutex<Vec<Received>>,
    answering: Mutex<Arc<Answering>>,
}

/// The receiver. Its thread lives as long as the test's process.
#[derive(Clone)]
pub struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Receiver {
    /// Answers everything with 204.
    pub fn start() -> Self {
        Self::answering(|_, _| Some(status(204)))
    }

    /// Answers with what `answering` makes of a call and of how many came before it.
    pub fn answering(answering: impl Fn(&Received, usize) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { calls: Mutex::default(), answering: Mutex::new(Arc::new(answering)) });
        let inside = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&inside);
                thread::spawn(move || serve(&shared, stream));
            }
        });
        Self { shared, address }
    }

    /// Answers otherwise from now on.
    pub fn answer(&self, answering: impl Fn(&Received, usize) -> Option<String> + Send + Sync + 'static) {
        *self.shared.answering.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(answering);
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Received> {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An answer without a body.
pub fn status(code: u16) -> String {
    format!("HTTP/1.1 {code} x\r\nContent-Length: 0\r\n\r\n")
}

fn serve(shared: &Shared, stream: TcpStream) {
    let mut reader = BufReader::new(stream);
    while let Ok(Some(call)) = read(&mut reader) {
        let before = {
            let mut calls = shared.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.push(call.clone());
            calls.len() - 1
        };
        let answering = Arc::clone(&shared.answering.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(answer) = answering(&call, before) else {
            // Reads on until the caller has had enough.
            let _ = reader.read(&mut [0; 1]);
            return;
        };
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Received>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.and_then(|(_, text)| text.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(Some(Received { method, path, headers, body }))
}
