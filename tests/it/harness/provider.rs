//! A stand-in for a provider's HTTP API: a judge that refuses what the real one refuses, and a script of troubles.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::wait::eventually;

/// A request, read whole.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub at: Instant,
}

impl Request {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What is said to a request.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What happens to a request that hands a message in, in place of an honest answer.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// This answer; the message is not taken.
    Say(Answer),
    /// The request is read, and the connection ends without a word; the message is not taken.
    Cut,
    /// The message is taken, and the connection ends without a word.
    TakeAndCut,
    /// The honest answer, late.
    Slow(Duration),
}

type Judge = Box<dyn FnMut(&Request) -> Answer + Send>;

struct State {
    judge: Judge,
    is_send: fn(&Request) -> bool,
    troubles: VecDeque<Trouble>,
    requests: Vec<Request>,
    taken: Vec<Request>,
}

/// A running stand-in. Dropping it closes its door.
pub struct Provider {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Provider {
    /// A provider whose honest answers come from `judge`; `is_send` tells the requests that hand a message in.
    pub fn start(
        is_send: fn(&Request) -> bool,
        judge: impl FnMut(&Request) -> Answer + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = State {
            judge: Box::new(judge),
            is_send,
            troubles: VecDeque::new(),
            requests: Vec::new(),
            taken: Vec::new(),
        };
        let provider =
            Self { address, state: Arc::new(Mutex::new(state)), stop: Arc::default(), open: Arc::default() };
        let (state, stop, open) =
            (Arc::clone(&provider.state), Arc::clone(&provider.stop), Arc::clone(&provider.open));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                if let Ok(copy) = stream.try_clone() {
                    open.lock().unwrap_or_else(PoisonError::into_inner).push(copy);
                }
                let state = Arc::clone(&state);
                thread::spawn(move || while serve(&stream, &state).unwrap_or(false) {});
            }
        });
        provider
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happens to the next requests that hand messages in, one each.
    pub fn next(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.state().troubles.extend(troubles);
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// Requests whose message was taken.
    pub fn taken(&self) -> Vec<Request> {
        self.state().taken.clone()
    }

    /// Requests that handed a message in, taken or not.
    pub fn offered(&self) -> Vec<Request> {
        let state = self.state();
        let is_send = state.is_send;
        state.requests.iter().filter(|request| is_send(request)).cloned().collect()
    }

    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Request> {
        eventually(&format!("{count} messages at the provider"), || {
            let taken = self.taken();
            (taken.len() >= count).then_some(taken)
        })
    }

    /// Ends every connection and takes no more.
    pub fn kill(&self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the listener, so that it closes.
        drop(TcpStream::connect(self.address));
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // Gone already: as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One request of a connection; false at its end.
fn serve(stream: &TcpStream, state: &Mutex<State>) -> io::Result<bool> {
    let Some(request) = read(&mut BufReader::new(stream))? else { return Ok(false) };
    let (answer, late) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests.push(request.clone());
        let is_send = (state.is_send)(&request);
        let trouble = if is_send { state.troubles.pop_front() } else { None };
        match trouble {
            Some(Trouble::Say(answer)) => (Some(answer), None),
            Some(Trouble::Cut) => (None, None),
            other => {
                let answer = (state.judge)(&request);
                if is_send && (200..300).contains(&answer.status) {
                    state.taken.push(request);
                }
                match other {
                    Some(Trouble::TakeAndCut) => (None, None),
                    Some(Trouble::Slow(late)) => (Some(answer), Some(late)),
                    _ => (Some(answer), None),
                }
            }
        }
    };
    if let Some(late) = late {
        thread::park_timeout(late);
    }
    let Some(answer) = answer else {
        stream.shutdown(Shutdown::Both)?;
        return Ok(false);
    };
    let mut head = format!("HTTP/1.1 {} Said\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = stream;
    stream.write_all(format!("{head}\r\n{}", answer.body).as_bytes())?;
    Ok(true)
}

/// `None` at the end of the connection. One request at a time is in flight, so a new reader for each loses nothing.
fn read(stream: &mut BufReader<&TcpStream>) -> io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut first = lines.first().map_or("", String::as_str).split(' ');
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(Request { method: method.to_owned(), path: path.to_owned(), headers, body, at: Instant::now() }))
}
