//! A line to a service that a test can cut, silence and jam, as networks and dying servers do.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How often a direction looks at the state of the line.
const LOOK: Duration = Duration::from_millis(5);
/// What a slow line adds to each piece, one way.
const LATE: Duration = Duration::from_millis(20);

/// What the line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Line {
    /// Everything passes.
    Open,
    /// Every connection is cut, and new ones end at once.
    Cut,
    /// What the client says arrives; what the server answers does not.
    Mute,
    /// What the server says arrives; nothing of the client's leaves.
    Jammed,
    /// Nothing passes, either way.
    Frozen,
    /// Everything passes, late.
    Slow,
}

/// A running proxy. Dropping it cuts everything.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: Mutex<SocketAddr>,
    line: AtomicU8,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy on a free port of loopback, in a state.
    pub fn to(target: SocketAddr, line: Line) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            line: AtomicU8::new(line as u8),
            open: Mutex::default(),
        });
        let weak = Arc::downgrade(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Some(shared) = weak.upgrade() else { return };
                shared.connect(client);
            }
        });
        Self { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the state, for the connections that stand too.
    pub fn set(&self, line: Line) {
        self.shared.line.store(line as u8, Ordering::SeqCst);
        if line == Line::Cut {
            self.shared.cut();
        }
    }

    /// Leads to another server from now on; the connections that stand are cut.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.shared.target.lock().expect("no panic under it") = target;
        self.shared.cut();
    }

    /// Cuts the connections that stand; new ones may be made.
    pub fn cut_once(&self) {
        self.shared.cut();
    }

    /// Says something to every client in the server's name.
    pub fn inject(&self, bytes: &[u8]) {
        let mut open = self.shared.open.lock().expect("no panic under it");
        for stream in open.iter_mut().step_by(2) {
            // One that is gone meanwhile hears nothing.
            let _ = stream.write_all(bytes);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Line::Cut);
        // Wakes the listener, which then finds nobody left.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn line(&self) -> u8 {
        self.line.load(Ordering::SeqCst)
    }

    fn is(&self, lines: &[Line]) -> bool {
        lines.iter().any(|line| *line as u8 == self.line())
    }

    fn cut(&self) {
        for stream in self.open.lock().expect("no panic under it").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        if self.is(&[Line::Cut]) {
            return;
        }
        let target = *self.target.lock().expect("no panic under it");
        let Ok(server) = TcpStream::connect(target) else { return };
        let pair = |stream: &TcpStream| stream.try_clone().expect("a second handle");
        self.open.lock().expect("no panic under it").extend([pair(&client), pair(&server)]);
        let (up, down) = ((pair(&client), pair(&server)), (server, client));
        for ((from, to), held) in [(up, [Line::Jammed, Line::Frozen]), (down, [Line::Mute, Line::Frozen])] {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.pass(from, to, held));
        }
    }

    /// Carries one direction until either end is gone.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream, held: [Line; 2]) {
        let _ = from.set_read_timeout(Some(LOOK));
        let mut buffer = [0; 16 * 1024];
        loop {
            if self.is(&held) {
                thread::park_timeout(LOOK);
                continue;
            }
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(fault) if matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => break,
            };
            while self.is(&held) {
                thread::park_timeout(LOOK);
            }
            if self.is(&[Line::Slow]) {
                thread::park_timeout(LATE);
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
