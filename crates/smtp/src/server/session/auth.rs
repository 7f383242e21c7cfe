//! AUTH with the mechanisms PLAIN (RFC 4616) and LOGIN, which is no standard but what many clients speak.

use super::{End, Session};
use crate::command::{CommandError, MAX_AUTH_BYTES};
use crate::reply::Reply;
use crate::server::handler::{Handler, Login};
use crate::server::replies;
use crate::server::wire::Line;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncWrite};

/// `Username:` in base64.
const ASK_USERNAME: &str = "VXNlcm5hbWU6";
/// `Password:` in base64.
const ASK_PASSWORD: &str = "UGFzc3dvcmQ6";

/// Why an exchange ended without a login.
enum Broken {
    /// What to say.
    Refused(Reply),
    /// The name to act as is not the name that was proved (RFC 4616 section 2): counts as a failed login.
    OtherIdentity,
    /// The session is over.
    End(End),
}

impl<S, H> Session<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    /// RFC 4954 section 4.
    pub(super) async fn auth(&mut self, mechanism: &str, initial: Option<&str>) -> Result<(), End> {
        if !self.may_log_in() {
            // Before anything is asked for: a password must not be sent.
            return self.refuse(&replies::login_needs_tls());
        }
        if self.facts.hello.is_none() || self.facts.is_authenticated || self.open.is_some() {
            let text =
                if self.facts.hello.is_none() { "Send EHLO first" } else { "AUTH does not belong here" };
            return self.refuse(&replies::bad_sequence(text));
        }
        let login = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => self.plain(initial).await,
            "LOGIN" => self.login(initial).await,
            _ => Err(Broken::Refused(replies::unknown_mechanism())),
        };
        let login = match login {
            Ok(login) => login,
            Err(Broken::Refused(reply)) => return self.refuse(&reply),
            Err(Broken::OtherIdentity) => return self.failed_login(&replies::login_refused()),
            Err(Broken::End(end)) => return Err(end),
        };
        match self.handler.authenticate(&self.facts, login).await {
            Ok(()) => {
                self.facts.is_authenticated = true;
                self.say(&replies::logged_in())
            }
            Err(reply) if reply.code / 100 == 5 => self.failed_login(&reply),
            Err(reply) => self.refuse(&reply),
        }
    }

    fn failed_login(&mut self, reply: &Reply) -> Result<(), End> {
        self.failed_logins += 1;
        if self.failed_logins >= self.settings.max_failed_logins {
            return self.part(&replies::too_many_failed_logins());
        }
        self.refuse(reply)
    }

    async fn plain(&mut self, initial: Option<&str>) -> Result<Login, Broken> {
        let response = match initial {
            Some(initial) => decoded_initial(initial)?,
            None => self.ask("").await?,
        };
        let mut parts = response.split('\0');
        let (Some(acts_as), Some(username), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Broken::Refused(replies::login_malformed()));
        };
        if username.is_empty() {
            return Err(Broken::Refused(replies::login_malformed()));
        }
        if !acts_as.is_empty() && acts_as != username {
            return Err(Broken::OtherIdentity);
        }
        Ok(Login { username: username.to_owned(), password: password.to_owned() })
    }

    async fn login(&mut self, initial: Option<&str>) -> Result<Login, Broken> {
        let username = match initial {
            Some(initial) => decoded_initial(initial)?,
            None => self.ask(ASK_USERNAME).await?,
        };
        let password = self.ask(ASK_PASSWORD).await?;
        if username.is_empty() {
            return Err(Broken::Refused(replies::login_malformed()));
        }
        Ok(Login { username, password })
    }

    /// Says a challenge and reads the response.
    async fn ask(&mut self, challenge: &str) -> Result<String, Broken> {
        self.say(&replies::challenge(challenge)).map_err(Broken::End)?;
        match self.wire.line(false).await.map_err(|lost| Broken::End(lost.into()))? {
            Line::Stray => {
                self.wire.say(&replies::stray_line_end());
                Err(Broken::End(End::Said))
            }
            Line::TooLong { .. } => {
                Err(Broken::Refused(replies::refused_command(&CommandError::AuthTooLong)))
            }
            Line::Text(line) if line.len() + 2 > MAX_AUTH_BYTES => {
                Err(Broken::Refused(replies::refused_command(&CommandError::AuthTooLong)))
            }
            Line::Text(line) if line[..] == *b"*" => Err(Broken::Refused(replies::login_cancelled())),
            Line::Text(line) => decoded(&line),
        }
    }
}

/// An initial response; `=` is an empty one (RFC 4954 section 4).
fn decoded_initial(initial: &str) -> Result<String, Broken> {
    if initial == "=" { Ok(String::new()) } else { decoded(initial.as_bytes()) }
}

fn decoded(base64: &[u8]) -> Result<String, Broken> {
    let bytes = STANDARD.decode(base64).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Broken::Refused(replies::login_malformed()))
}
