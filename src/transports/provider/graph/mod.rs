//! Microsoft Graph, `sendMail`: as JSON where nothing gets lost by it, else as MIME, and by a draft with upload sessions
//! when files are large. 202 is all it ever says; what happens later comes to the sender's mailbox.

mod account;
mod classify;
mod examine;
mod large;
mod letter;
mod mime;
mod session;
mod token;

pub use account::SenderConfigSource;
pub use examine::{Finding, examine};

use super::call::Http;
use super::content;
use super::verdict::Verdict;
use crate::base::clock::Clock;
use crate::transports::{LeaseGuard, Outgoing};
use account::Account;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use letter::Form;
use posthaste_model::Secret;
use posthaste_model::email::{Content as Kept, Email};
use posthaste_model::outcome::RecipientOutcome;
use session::Session;
use std::sync::Arc;
use std::time::Duration;

/// Recipients of one message (learn.microsoft.com, "Exchange Online limits": a tenant may set less).
const RECIPIENTS_MAX: usize = 500;
/// A request with a whole message, in bytes.
const REQUEST_MAX: usize = 4_000_000;
/// A mailbox that Microsoft does not let us send from is left alone for so long.
const MAILBOX_PAUSE: Duration = Duration::from_secs(30);

/// An application registered at Microsoft Entra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphApp {
    /// Tenant (directory) id.
    pub tenant_id: String,
    /// Application (client) id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: Secret,
}

/// Where Microsoft is; URLs without a slash at their end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphPlace {
    /// Where tokens are fetched.
    pub login_url: String,
    /// Where mail is handed in.
    pub graph_url: String,
}

#[derive(Debug)]
enum Accounts {
    One(Arc<Account>),
    SenderConfigs(SenderConfigSource),
}

/// Microsoft Graph as a way out.
#[derive(Debug)]
pub struct GraphTransport {
    http: Http,
    place: GraphPlace,
    accounts: Accounts,
    clock: Clock,
}

impl GraphTransport {
    /// Sends by one application.
    pub fn new(place: GraphPlace, app: GraphApp, clock: Clock) -> Result<Self, String> {
        let accounts = Accounts::One(Arc::new(Account::new(app)));
        Ok(Self { http: Http::new()?, place, accounts, clock })
    }

    /// Sends by the applications of the clients' sender configs.
    pub fn of_sender_configs(
        place: GraphPlace,
        source: SenderConfigSource,
        clock: Clock,
    ) -> Result<Self, String> {
        Ok(Self { http: Http::new()?, place, accounts: Accounts::SenderConfigs(source), clock })
    }

    pub(super) fn base_url(&self) -> &str {
        &self.place.graph_url
    }

    /// Microsoft counts by application and mailbox.
    pub(super) fn pause_key(&self, email: &Email) -> String {
        let mailbox = email.from.address.canonical();
        match &self.accounts {
            Accounts::One(_) => mailbox.to_owned(),
            Accounts::SenderConfigs(_) => format!("{} {mailbox}", email.client_id),
        }
    }

    pub(super) async fn send(&self, outgoing: &Outgoing<'_>, lease: &LeaseGuard) -> Verdict {
        if let Some(verdict) = over_limit(outgoing) {
            return verdict;
        }
        let account = match &self.accounts {
            Accounts::One(account) => Arc::clone(account),
            Accounts::SenderConfigs(source) => match source.of(outgoing).await {
                Ok(account) => account,
                Err(verdict) => return self.contained(outgoing, verdict, true),
            },
        };
        // The semaphore is never closed.
        let _place = account.gate.acquire().await;
        if !lease.still_held() {
            return Verdict::LeaseLost;
        }
        let session = Session {
            http: &self.http,
            place: &self.place,
            account: &account,
            clock: &self.clock,
            user: segment(outgoing.claim.email.from.address.as_str()),
        };
        let (verdict, of_mailbox) = deliver(&session, outgoing, lease).await;
        self.contained(outgoing, verdict, of_mailbox)
    }

    /// What the operator must mend for one mailbox or one client's application stops that mailbox, not everyone's mail.
    fn contained(&self, outgoing: &Outgoing<'_>, verdict: Verdict, of_mailbox: bool) -> Verdict {
        let is_own = matches!(self.accounts, Accounts::SenderConfigs(_));
        match verdict {
            Verdict::Not(RecipientOutcome::Later(mut failure)) if failure.alarm && (of_mailbox || is_own) => {
                let email = &outgoing.claim.email;
                tracing::error!(
                    client.id = %email.client_id,
                    mailbox = email.from.address.as_str(),
                    reason = failure.message,
                    "mailbox needs the operator, its mail waits"
                );
                failure.alarm = false;
                failure.retry_after = Some(failure.retry_after.unwrap_or(MAILBOX_PAUSE));
                Verdict::later(failure)
            }
            other => other,
        }
    }
}

/// What Microsoft does not take, said before it is asked.
fn over_limit(outgoing: &Outgoing<'_>) -> Option<Verdict> {
    let recipients = outgoing.due.len();
    (recipients > RECIPIENTS_MAX).then(|| {
        let message =
            format!("Microsoft Graph takes {RECIPIENTS_MAX} recipients, this message has {recipients}");
        Verdict::over_limit(message)
    })
}

/// Hands the message in, in the form that loses least; whether what went wrong is the mailbox's alone.
async fn deliver(session: &Session<'_>, outgoing: &Outgoing<'_>, lease: &LeaseGuard) -> (Verdict, bool) {
    let is_raw = !matches!(outgoing.claim.email.content, Kept::Parts(_));
    // Base64 makes four bytes of three.
    let mime = mime::of(outgoing).filter(|mime| mime.len() <= REQUEST_MAX / 4 * 3);
    if let (true, Some(mime)) = (is_raw, &mime) {
        return session.send_mail("text/plain", STANDARD.encode(mime).into(), outgoing, lease).await;
    }
    let pieces = match content::read(outgoing) {
        Ok(pieces) => pieces,
        Err(error) => {
            let message = format!("Microsoft Graph takes no raw message of this size or envelope: {error}");
            return (Verdict::over_limit(message), false);
        }
    };
    let form = letter::of(outgoing, &pieces);
    match (form, mime) {
        (Form::Whole(json), _) | (Form::Lossy(json), None)
            if json.len() <= REQUEST_MAX && !pieces.has_large() =>
        {
            session.send_mail("application/json", json.into(), outgoing, lease).await
        }
        (Form::Lossy(_) | Form::Impossible(_), Some(mime)) => {
            session.send_mail("text/plain", STANDARD.encode(mime).into(), outgoing, lease).await
        }
        (Form::Impossible(limit), None) => (Verdict::over_limit(limit), false),
        (Form::Whole(_) | Form::Lossy(_), _) => large::send(session, outgoing, &pieces, lease).await,
    }
}

/// Text as it may stand in a URL's path or a form (RFC 3986, section 2.3), `@` and what else is safe in both left out.
fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                out.push(byte as char);
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// JSON as a request's body.
fn bytes_of(json: &serde_json::Value) -> Bytes {
    json.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::{RECIPIENTS_MAX, over_limit, segment};
    use crate::transports::provider::content::tests::{outgoing, raw_claim};
    use crate::transports::provider::verdict::tests::word;
    use posthaste_model::email::RecipientKind;

    #[test]
    fn too_many_recipients_are_named_before_anything_is_sent() {
        let addresses: Vec<String> = (0..=RECIPIENTS_MAX).map(|n| format!("r{n}@b.example")).collect();
        let many: Vec<(&str, RecipientKind)> =
            addresses.iter().map(|one| (&**one, RecipientKind::Bcc)).collect();
        let (claim, bytes) = raw_claim("S: s\r\n\r\nx", &many);
        let all: Vec<usize> = (0..many.len()).collect();
        let found = over_limit(&outgoing(&claim, &bytes, &all)).map(|verdict| word(&verdict));
        assert_eq!(found.as_deref(), Some("P server_error"));
        assert!(over_limit(&outgoing(&claim, &bytes, &all[1..])).is_none());
    }

    #[test]
    fn nothing_leaves_its_segment() {
        assert_eq!(segment("ann@org.example"), "ann@org.example");
        assert_eq!(segment("a/b?c#d+e&f= é"), "a%2Fb%3Fc%23d%2Be%26f%3D%20%C3%A9");
        assert_eq!(segment(".."), "..");
    }
}
