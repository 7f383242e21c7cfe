//! The client against relays of every temper, over real sockets.

mod content;
mod lost;
mod pool;
mod recipients;
mod tls;
mod wire;

use posthaste_smtp::client::{
    ConnectSettings, Connection, Encryption, Envelope, RecipientOutcome, SendResult, SmtpError, Timeouts,
};
use posthaste_smtp::failure::{Failure, FailureClass, Stage};
use posthaste_smtp_sink::relay::{Action, Relay, Script, Step, Taken};
use std::sync::Arc;
use std::time::Duration;

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nHow are you?\r\n";

/// TLS with no roots: nothing is trusted.
fn no_roots() -> Arc<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Arc::new(config)
}

/// Settings for a relay in clear, patient.
fn settings(relay: &Relay) -> ConnectSettings {
    ConnectSettings {
        host: "127.0.0.1".to_owned(),
        port: relay.port(),
        encryption: Encryption::None,
        credentials: None,
        helo_name: "client.example".to_owned(),
        tls: no_roots(),
        timeouts: Timeouts::all(Duration::from_secs(20)),
        max_message_bytes: None,
    }
}

/// The same, but impatient from `stage` on if the relay will never answer: others are given all the time they need,
/// so that a busy machine fails no test.
fn settings_for(relay: &Relay, stage: Stage, action: &Action) -> ConnectSettings {
    let never_answers = match action {
        Action::Silence | Action::Trickle(..) => true,
        Action::Raw(bytes) => !bytes.ends_with(b"\n"),
        _ => false,
    };
    let mut settings = settings(relay);
    if never_answers {
        let patience = settings.timeouts;
        settings.timeouts = Timeouts::all(Duration::from_millis(150));
        if !matches!(stage, Stage::Greeting | Stage::Ehlo) {
            (settings.timeouts.greeting, settings.timeouts.ehlo) = (patience.greeting, patience.ehlo);
        }
        settings.timeouts.connect = patience.connect;
    }
    settings
}

/// An envelope for [`MESSAGE`].
fn envelope<'a>(recipients: &'a [&'a str]) -> Envelope<'a> {
    Envelope {
        mail_from: "sender@client.example",
        recipients,
        size: MESSAGE.len(),
        body_8bit: false,
        smtputf8: false,
    }
}

/// A relay with this script, and a session with it.
async fn connected(script: Script) -> (Relay, Connection) {
    let relay = Relay::start(script).await.expect("a free port");
    let connection = Connection::connect(&settings(&relay)).await.expect("a session");
    (relay, connection)
}

/// A way for a message to go out, and the start of a script that leads to it.
struct Way {
    script: Script,
    /// The session has taken a message before.
    trusted: bool,
}

/// Every way.
fn ways() -> Vec<Way> {
    let fresh = |script| Way { script, trusted: false };
    // For the message that earns the trust, whatever comes behind in the script.
    let usual = [
        (Step::Mail, "250 2.1.0 ok"),
        (Step::Rcpt, "250 2.1.5 ok"),
        (Step::Data, "354 go on"),
        (Step::Content, "250 2.0.0 taken"),
    ];
    let usual = usual
        .into_iter()
        .fold(Script::accepting(), |script, (step, reply)| script.first(1, step, Action::reply(reply)));
    vec![
        Way { script: usual, trusted: true },
        fresh(Script::accepting()),
        fresh(Script::accepting().without("CHUNKING")),
        fresh(Script::accepting().without("PIPELINING")),
        fresh(Script::accepting().without("PIPELINING").without("CHUNKING")),
    ]
}

impl Way {
    /// Goes on with the script.
    fn then(self, more: impl FnOnce(Script) -> Script) -> Self {
        Self { script: more(self.script), ..self }
    }

    /// A relay with this script, and a session with it that sends in this way.
    async fn connected(self, settings: impl FnOnce(&Relay) -> ConnectSettings) -> (Relay, Connection) {
        let relay = Relay::start(self.script).await.expect("a free port");
        let mut connection = Connection::connect(&settings(&relay)).await.expect("a session");
        if self.trusted {
            assert_accepted(&only(send(&mut connection, &[WARM_UP]).await));
        }
        (relay, connection)
    }
}

/// The recipient of the message that earns a session's trust.
const WARM_UP: &str = "warm@up.example";

/// The messages taken, but for that one.
fn taken(relay: &Relay) -> Vec<Taken> {
    relay.messages().into_iter().filter(|taken| taken.recipients != [WARM_UP]).collect()
}

/// Sends [`MESSAGE`].
async fn send(connection: &mut Connection, recipients: &[&str]) -> SendResult {
    connection.send(&envelope(recipients), MESSAGE, || true).await
}

/// The only outcome.
fn only(result: SendResult) -> RecipientOutcome {
    assert_eq!(result.outcomes.len(), 1);
    result.outcomes.into_iter().next().expect("one")
}

/// The failure of a session that must not open.
async fn refused_session(settings: &ConnectSettings) -> Failure {
    let error: SmtpError = Connection::connect(settings).await.expect_err("no session");
    assert!(matches!(error.clone().into_outcome(), RecipientOutcome::Later { .. }), "{error}");
    error.failure
}

#[track_caller]
fn assert_accepted(outcome: &RecipientOutcome) {
    assert!(matches!(outcome, RecipientOutcome::Accepted { .. }), "{outcome:?}");
}

#[track_caller]
fn assert_later(outcome: &RecipientOutcome, stage: Stage, code: FailureClass) {
    let RecipientOutcome::Later { failure } = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.stage, failure.code), (stage, code), "{failure:?}");
}

#[track_caller]
fn assert_refused(outcome: &RecipientOutcome, stage: Stage, code: FailureClass) {
    let RecipientOutcome::Refused { failure } = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.stage, failure.code), (stage, code), "{failure:?}");
}

#[track_caller]
fn assert_uncertain(outcome: &RecipientOutcome, code: FailureClass) {
    let RecipientOutcome::Uncertain { failure } = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.code, code, "{failure:?}");
}
