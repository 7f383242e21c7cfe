//! A client of the SMTP door that says exactly what a test wants it to say.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// A reply: its code, and its lines without codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    pub text: String,
}

impl Reply {
    /// The reply begins so: `554 5.6.0`.
    #[track_caller]
    pub fn expect(&self, start: &str) -> &Self {
        assert!(self.to_string().starts_with(start), "{self}, not {start}");
        self
    }

    /// The id of `250 2.0.0 Ok: queued as <id>`.
    #[track_caller]
    pub fn id(&self) -> String {
        self.expect("250 2.0.0 Ok: queued as ");
        self.text.rsplit(' ').next().expect("a word").to_owned()
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

/// A session in clear.
pub struct Session {
    stream: BufReader<TcpStream>,
}

impl Session {
    /// Connects and waits for nothing.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Connects, is greeted and says EHLO.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        let mut session = Self::connect(address).expect("the server listens");
        session.reply().expect("220");
        session.say("EHLO client.example").expect("250");
        session
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    /// The next reply.
    pub fn try_reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                let code = line.get(..3).and_then(|code| code.parse().ok());
                let code = code.ok_or_else(|| io::Error::other(format!("no reply: {line}")))?;
                return Ok(Reply { code, text: lines.join("\n") });
            }
        }
    }

    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        self.try_reply().unwrap_or_else(|fault| panic!("no reply: {fault}"))
    }

    /// The codes of so many replies of one line each.
    #[track_caller]
    pub fn codes(&mut self, count: usize) -> Vec<String> {
        let mut line = Vec::new();
        let mut next = || {
            line.clear();
            self.stream.read_until(b'\n', &mut line).expect("the server answers");
            String::from_utf8_lossy(&line[..line.len().min(3)]).into_owned()
        };
        (0..count).map(|_| next()).collect()
    }

    /// Says a line and reads its reply.
    #[track_caller]
    pub fn say(&mut self, line: &str) -> Reply {
        self.try_say(line).unwrap_or_else(|fault| panic!("{line}: {fault}"))
    }

    pub fn try_say(&mut self, line: &str) -> io::Result<Reply> {
        self.send(format!("{line}\r\n").as_bytes())?;
        self.try_reply()
    }

    /// MAIL and RCPT, both taken.
    #[track_caller]
    pub fn envelope(&mut self, from: &str, to: &str) {
        self.say(&format!("MAIL FROM:<{from}>")).expect("250 2.1.0");
        self.say(&format!("RCPT TO:<{to}>")).expect("250 2.1.5");
    }

    /// A message by DATA; `content` ends with CRLF.
    pub fn try_data(&mut self, content: &[u8]) -> io::Result<Reply> {
        let go = self.try_say("DATA")?;
        if go.code != 354 {
            return Ok(go);
        }
        self.send(&stuffed(content))?;
        self.try_reply()
    }

    /// [`Session::try_data`] that must get an answer.
    #[track_caller]
    pub fn data(&mut self, content: &[u8]) -> Reply {
        self.try_data(content).unwrap_or_else(|fault| panic!("DATA: {fault}"))
    }

    /// A message by one BDAT.
    #[track_caller]
    pub fn bdat(&mut self, content: &[u8]) -> Reply {
        let command = format!("BDAT {} LAST\r\n", content.len());
        self.send(&[command.as_bytes(), content].concat()).expect("the server reads");
        self.reply()
    }

    /// AUTH PLAIN.
    #[track_caller]
    pub fn login(&mut self, username: &str, password: &str) -> Reply {
        self.say(&format!("AUTH PLAIN {}", BASE64.encode(format!("\0{username}\0{password}"))))
    }

    /// Everything that still comes until the server closes.
    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is a close too.
        let _ = self.stream.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// Content as DATA carries it (RFC 5321 section 4.5.2).
pub fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 16);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b".\r\n");
    out
}
