//! Opening a session: TCP, TLS, greeting, EHLO, AUTH; and closing it.

use super::auth;
use super::capabilities::Capabilities;
use super::envelope::is_helo_name;
use super::outcome::SmtpError;
use super::settings::{ConnectSettings, Encryption, Timeouts};
use super::wire::{Fault, Stream, Wire};
use crate::classify::classify;
use crate::failure::{Failure, FailureClass, Stage};
use crate::reply::{MAX_REPLY_BYTES, Reply};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

/// One session with a relay, good for many messages, one after the other.
#[derive(Debug)]
pub struct Connection {
    pub(super) wire: Wire,
    pub(super) capabilities: Capabilities,
    pub(super) timeouts: Timeouts,
    pub(super) max_message_bytes: Option<usize>,
    /// Nothing can be sent any more.
    pub(super) broken: bool,
    /// A transaction was left open: RSET goes before the next MAIL.
    pub(super) needs_reset: bool,
    /// When the relay last took a message, if it ever did over this session.
    pub(super) last_taken: Option<Instant>,
}

impl Connection {
    /// Opens a session up to and including AUTH. No credential and no byte of mail is sent in clear when encryption
    /// was asked for.
    pub async fn connect(settings: &ConnectSettings) -> Result<Self, SmtpError> {
        if !is_helo_name(&settings.helo_name) {
            return Err(wrong_settings(Stage::Ehlo, "the HELO name is no domain name or address literal"));
        }
        let stream = Stream::Plain(open_tcp(settings).await?);
        let stream = match settings.encryption {
            Encryption::Tls => start_tls(stream, settings).await?,
            Encryption::None | Encryption::StartTls => stream,
        };
        let mut wire = Wire::new(stream);
        let greeting = read(&mut wire, Stage::Greeting, settings.timeouts.greeting).await?;
        expect_positive(Stage::Greeting, &greeting)?;
        let mut capabilities = introduce(&mut wire, settings).await?;
        if settings.encryption == Encryption::StartTls {
            wire = upgrade(wire, &capabilities, settings).await?;
            // What was said in clear counts for nothing (RFC 3207 section 4.2).
            capabilities = introduce(&mut wire, settings).await?;
        }
        if let Some(credentials) = &settings.credentials {
            auth::log_in(&mut wire, &capabilities, credentials, &settings.timeouts).await?;
        }
        Ok(Self {
            wire,
            capabilities,
            timeouts: settings.timeouts.clone(),
            max_message_bytes: settings.max_message_bytes,
            broken: false,
            needs_reset: false,
            last_taken: None,
        })
    }

    /// What the relay offers on this session.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether another message can be sent over this session.
    pub fn is_reusable(&self) -> bool {
        !self.broken
    }

    /// Whether the session can be used again and the relay has neither closed it nor spoken unasked. Does not wait.
    pub(super) async fn is_alive(&mut self) -> bool {
        !self.broken && self.wire.is_quiet().await
    }

    /// Says QUIT and closes, waiting no longer than the `quit` timeout. A broken session is closed without a word: it
    /// may be in the middle of a message.
    pub async fn quit(mut self) {
        if self.broken {
            return;
        }
        let within = self.timeouts.quit;
        let farewell = async {
            self.wire.queue(b"QUIT\r\n");
            if self.wire.flush(within).await.is_ok() {
                // 221 or whatever: the session is over.
                let _ = self.wire.read_reply(within).await;
            }
            self.wire.shutdown(within).await;
        };
        // Every step is bounded; the sum is too.
        let _ = timeout(within, farewell).await;
    }
}

/// Resolves the name and tries its addresses in turn, all within the `connect` timeout.
async fn open_tcp(settings: &ConnectSettings) -> Result<TcpStream, SmtpError> {
    let (host, port) = (settings.host.as_str(), settings.port);
    let failed = |fault: &str| {
        let message = format!("could not connect to {host}:{port}: {fault}");
        SmtpError::later(Failure::transport(Stage::Connect, message))
    };
    let deadline = Instant::now() + settings.timeouts.connect;
    let target = (host.trim_start_matches('[').trim_end_matches(']'), port);
    let addresses: Vec<_> = match timeout_at(deadline, lookup_host(target)).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(failed(&error.to_string())),
        Err(_) => return Err(failed("the name was not resolved in time")),
    };
    let mut fault = "the name has no address".to_owned();
    for (tried, address) in addresses.iter().enumerate() {
        // An address that swallows packets leaves the others their share of the time.
        let left = u32::try_from(addresses.len() - tried).unwrap_or(1);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        let attempt = timeout(share, TcpStream::connect(address)).await;
        // Groups of commands are written at once, so waiting to fill a segment only costs time.
        match attempt.map(|connected| connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)))
        {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => fault = error.to_string(),
            Err(_) => "no answer in time".clone_into(&mut fault),
        }
    }
    Err(failed(&fault))
}

/// Does the TLS handshake and checks the certificate against the host's name.
async fn start_tls(stream: Stream, settings: &ConnectSettings) -> Result<Stream, SmtpError> {
    let Stream::Plain(tcp) = stream else {
        return Err(SmtpError::later(Failure::transport(Stage::Tls, "TLS is already in use")));
    };
    let name = settings.host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let Ok(name) = ServerName::try_from(name.to_owned()) else {
        return Err(wrong_settings(
            Stage::Tls,
            "the relay's host name cannot be checked against a certificate",
        ));
    };
    let handshake = TlsConnector::from(settings.tls.clone()).connect(name, tcp);
    match timeout(settings.timeouts.connect, handshake).await {
        Ok(Ok(tls)) => Ok(Stream::Tls(Box::new(tls))),
        Ok(Err(error)) => {
            // rustls names a certificate it refuses; the operator has to look at that, not at a lost connection.
            let about_tls = matches!(error.get_ref(), Some(cause) if cause.is::<rustls::Error>());
            let failure = Failure::transport(Stage::Tls, format!("the TLS handshake failed: {error}"));
            Err(SmtpError::later(if about_tls { failure.with_alarm() } else { failure }))
        }
        Err(_) => Err(SmtpError::later(Failure::transport(Stage::Tls, "the TLS handshake took too long"))),
    }
}

/// STARTTLS: required once asked for, and nothing may come between its reply and the handshake.
async fn upgrade(
    mut wire: Wire,
    offered: &Capabilities,
    settings: &ConnectSettings,
) -> Result<Wire, SmtpError> {
    if !offered.starttls {
        let message = "the relay does not offer STARTTLS, which is required";
        return Err(SmtpError::later(Failure::transport(Stage::Tls, message).with_alarm()));
    }
    wire.queue(b"STARTTLS\r\n");
    flush(&mut wire, Stage::Tls, settings).await?;
    let reply = read(&mut wire, Stage::Tls, settings.timeouts.ehlo).await?;
    if reply.code != 220 {
        let failure = Failure {
            reply: Some(reply.clone()),
            ..Failure::transport(Stage::Tls, format!("the relay refused STARTTLS: {reply}")).with_alarm()
        };
        return Err(SmtpError::later(failure));
    }
    if wire.has_unread() {
        let message = "the relay sent plaintext after its reply to STARTTLS; somebody may be tampering";
        return Err(SmtpError::later(Failure::transport(Stage::Tls, message).with_alarm()));
    }
    Ok(Wire::new(start_tls(wire.into_stream(), settings).await?))
}

/// EHLO, or HELO for a relay that does not know EHLO.
async fn introduce(wire: &mut Wire, settings: &ConnectSettings) -> Result<Capabilities, SmtpError> {
    wire.set_text_limit(MAX_REPLY_BYTES);
    let reply = greet(wire, "EHLO ", settings).await?;
    wire.set_text_limit(crate::reply::MAX_TEXT_BYTES);
    if matches!(reply.code, 500..=504) {
        let reply = greet(wire, "HELO ", settings).await?;
        expect_positive(Stage::Ehlo, &reply)?;
        return Ok(Capabilities::default());
    }
    expect_positive(Stage::Ehlo, &reply)?;
    Ok(Capabilities::from_ehlo(&reply))
}

async fn greet(wire: &mut Wire, verb: &str, settings: &ConnectSettings) -> Result<Reply, SmtpError> {
    wire.queue(verb.as_bytes());
    wire.queue(settings.helo_name.as_bytes());
    wire.queue(b"\r\n");
    flush(wire, Stage::Ehlo, settings).await?;
    read(wire, Stage::Ehlo, settings.timeouts.ehlo).await
}

async fn flush(wire: &mut Wire, stage: Stage, settings: &ConnectSettings) -> Result<(), SmtpError> {
    wire.flush(settings.timeouts.ehlo).await.map_err(|fault| SmtpError::later(fault.into_failure(stage)))
}

async fn read(wire: &mut Wire, stage: Stage, within: std::time::Duration) -> Result<Reply, SmtpError> {
    wire.read_reply(within).await.map_err(|fault: Fault| SmtpError::later(fault.into_failure(stage)))
}

fn expect_positive(stage: Stage, reply: &Reply) -> Result<(), SmtpError> {
    if reply.is_positive() { Ok(()) } else { Err(classify(stage, reply).into()) }
}

/// The operator must act; the mail waits.
fn wrong_settings(stage: Stage, message: &str) -> SmtpError {
    SmtpError::later(Failure::local(FailureClass::ServerError, stage, message).with_alarm())
}
