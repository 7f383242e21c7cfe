//! AUTH PLAIN and LOGIN (RFC 4954, 4616). Whether the connection is safe for a password was decided by the
//! operator's [`Encryption`](super::Encryption) before this runs.

use super::capabilities::Capabilities;
use super::outcome::SmtpError;
use super::settings::{Credentials, Timeouts};
use super::wire::Wire;
use crate::classify::classify;
use crate::failure::{Failure, FailureClass, Stage};
use crate::reply::Reply;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A way to log in that this client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthMechanism {
    /// RFC 4616, in one round trip.
    Plain,
    /// The older one, where PLAIN is not offered.
    Login,
}

impl AuthMechanism {
    /// The best that the relay offers.
    pub fn choose(offered: &Capabilities) -> Option<Self> {
        if offered.auth_plain { Some(Self::Plain) } else { offered.auth_login.then_some(Self::Login) }
    }
}

/// Logs in, or says why not.
pub(super) async fn log_in(
    wire: &mut Wire,
    offered: &Capabilities,
    credentials: &Credentials,
    timeouts: &Timeouts,
) -> Result<(), SmtpError> {
    let (username, password) = (credentials.username.as_str(), credentials.password.reveal());
    if username.contains('\0') || password.contains('\0') {
        return Err(wrong_settings("the user name or password has a NUL character"));
    }
    let reply = match AuthMechanism::choose(offered) {
        None => return Err(wrong_settings("the relay offers neither AUTH PLAIN nor AUTH LOGIN")),
        Some(AuthMechanism::Plain) => {
            let response = STANDARD.encode(format!("\0{username}\0{password}"));
            say(wire, &["AUTH PLAIN ", &response], timeouts).await?
        }
        Some(AuthMechanism::Login) => {
            let mut reply = say(wire, &["AUTH LOGIN"], timeouts).await?;
            for answer in [username, password] {
                if reply.code != 334 {
                    break;
                }
                reply = say(wire, &[&STANDARD.encode(answer)], timeouts).await?;
            }
            reply
        }
    };
    if reply.is_positive() {
        return Ok(());
    }
    Err(classify(Stage::Auth, &without_credentials(reply, username, password)).into())
}

/// The reply as it may be recorded and shown. Many servers repeat the line that they refuse, and with it the password.
fn without_credentials(reply: Reply, username: &str, password: &str) -> Reply {
    let said = [
        password.to_owned(),
        STANDARD.encode(password),
        STANDARD.encode(format!("\0{username}\0{password}")),
    ];
    if said.iter().any(|secret| !secret.is_empty() && reply.text.contains(secret.as_str())) {
        return Reply {
            text: "the relay's words are left out, the password stands in them".to_owned(),
            ..reply
        };
    }
    reply
}

async fn say(wire: &mut Wire, words: &[&str], timeouts: &Timeouts) -> Result<Reply, SmtpError> {
    for word in words {
        wire.queue(word.as_bytes());
    }
    wire.queue(b"\r\n");
    let lost = |fault: super::wire::Fault| SmtpError::later(fault.into_failure(Stage::Auth));
    wire.flush(timeouts.ehlo).await.map_err(lost)?;
    wire.read_reply(timeouts.ehlo).await.map_err(lost)
}

/// The operator must act; the mail waits.
fn wrong_settings(message: &str) -> SmtpError {
    SmtpError::later(Failure::local(FailureClass::ServerError, Stage::Auth, message).with_alarm())
}
