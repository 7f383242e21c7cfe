//! A name server on loopback that answers from what a test publishes (RFC 1035): TXT and MX, over UDP.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

const TXT: u16 = 16;
const MX: u16 = 15;

type Zone = Arc<Mutex<HashMap<(String, u16), Vec<Vec<u8>>>>>;

pub struct NameServer {
    address: SocketAddr,
    zone: Zone,
}

impl NameServer {
    /// One that knows nothing yet.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("an address");
        let zone = Zone::default();
        let known = Arc::clone(&zone);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = answer(&buffer[..length], &known) {
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        Self { address, zone }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Publishes a TXT record beside the others of its name.
    pub fn txt(&self, name: &str, value: &str) {
        let strings = value.as_bytes().chunks(255);
        let data = strings.flat_map(|part| [&[part.len() as u8][..], part].concat()).collect();
        self.publish(name, TXT, data);
    }

    /// Publishes an MX record.
    pub fn mx(&self, name: &str, host: &str) {
        self.publish(name, MX, [&[0, 10][..], &labels(host)].concat());
    }

    /// Takes back all records of a name.
    pub fn clear(&self, name: &str) {
        self.zone.lock().expect("no panic").retain(|(known, _), _| known != name);
    }

    fn publish(&self, name: &str, kind: u16, data: Vec<u8>) {
        let key = (name.to_ascii_lowercase(), kind);
        self.zone.lock().expect("no panic").entry(key).or_default().push(data);
    }
}

fn labels(name: &str) -> Vec<u8> {
    let mut out: Vec<u8> =
        name.split('.').flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat()).collect();
    out.push(0);
    out
}

/// The answer to a question; no such name (3) where nothing is published.
fn answer(question: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let (mut at, mut name) = (12, Vec::new());
    loop {
        let length = usize::from(*question.get(at)?);
        if length == 0 {
            break;
        }
        name.push(String::from_utf8_lossy(question.get(at + 1..at + 1 + length)?).to_ascii_lowercase());
        at += length + 1;
    }
    let end = at + 5;
    let kind = u16::from_be_bytes(question.get(at + 1..at + 3)?.try_into().ok()?);
    let records = zone.lock().ok()?.get(&(name.join("."), kind)).cloned().unwrap_or_default();
    let code = if records.is_empty() { 3 } else { 0 };
    let mut out = question.get(..2)?.to_vec();
    out.extend([0x84, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    out.extend_from_slice(question.get(12..end)?);
    for data in records {
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 1]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
    Some(out)
}
