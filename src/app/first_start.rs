//! The first start: a default client with an API key, shown once, and a curl line that works when pasted.

use super::{App, StartError};
use crate::admin::{Actor, DEFAULT_CLIENT};
use posthaste_model::credential::ApiKey;
use posthaste_model::refusal::Refusal;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

/// What a start has to say to the person who made it.
pub struct Welcome {
    new_key: Option<ApiKey>,
    /// Whether nobody can log in yet.
    has_no_user: bool,
}

impl Welcome {
    /// Makes the default client and its key where they are missing. A start that was killed between the two makes the
    /// key the next time; of several that start at once on one store, one makes it and shows it.
    pub async fn prepare(app: &App) -> Result<Self, StartError> {
        let actor = Actor { kind: "system".into(), id: None, address: None };
        let client = app.admin.default_client(&actor).await.map_err(|refusal| refused(&refusal))?;
        let has_no_user = !app.store.has_users().await?;
        let known = app.store.credentials(Some(client.id)).await?;
        let classic = app.auth.classic_hashes();
        app.admin.keep_classic_key(&client, classic, &actor).await.map_err(|refusal| refused(&refusal))?;
        if known.iter().any(|credential| !classic.contains(&credential.key_hash)) {
            return Ok(Self { new_key: None, has_no_user });
        }
        let new_key =
            app.admin.create_first_key(&client, &actor).await.map_err(|refusal| refused(&refusal))?;
        Ok(Self { new_key, has_no_user })
    }

    /// Prints it to stdout as plain text, whatever the log's format.
    pub fn print(&self, app: &App, address: SocketAddr) {
        let text = self.text(app, address);
        let mut out = std::io::stdout().lock();
        // Nobody may be reading: a closed stdout must not end a server.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn text(&self, app: &App, address: SocketAddr) -> String {
        let scheme = if app.settings.http.tls.is_some() { "https" } else { "http" };
        let base = app.settings.http.public_url.clone().unwrap_or_else(|| {
            let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { host(address) };
            format!("{scheme}://{host}:{}", address.port())
        });
        let base = base.trim_end_matches('/');
        let way = &app.settings.mail.default_transport;
        let mut text = format!("\nPosthaste {} listens on {base}\n\n", env!("CARGO_PKG_VERSION"));
        let _ = writeln!(text, "  API      {base}/api/docs");
        let _ = writeln!(text, "  Inbox    {base}/inbox");
        let _ = writeln!(text, "  Pages    {base}/admin");
        if let Some(mailer) = &app.settings.mail.kept_by {
            let _ = writeln!(
                text,
                "  Mail     stays on this machine, in the inbox: MAIL_MAILER is {mailer}; take it out to send for real"
            );
        } else if way == crate::routing::INBOX {
            text.push_str("  Mail     stays on this machine, in the inbox; set SMTP_HOST to send for real\n");
        } else {
            let _ = writeln!(text, "  Mail     goes out by the transport {way}");
        }
        if self.has_no_user {
            let token = app.auth.first_admin_token();
            let _ = write!(
                text,
                "\nNobody can log in yet. The first admin is made here, once:\n\n  {base}/setup?token={token}\n"
            );
        }
        if let Some(key) = &self.new_key {
            let key = key.expose();
            let _ = write!(
                text,
                "\nA client `{DEFAULT_CLIENT}` was made, with an API key that is shown this once:\n\n  {key}\n\n\
                 Send a first email:\n\n\
                 curl -sS {base}/api/emails -H 'X-Api-Key: {key}' -H 'Content-Type: application/json' \
                 -d '{{\"from\":\"Posthaste <hello@example.com>\",\"to\":\"you@example.com\",\"subject\":\"It \
                 works\",\"text\":\"Hello from Posthaste.\"}}'\n\n"
            );
            if way == crate::routing::INBOX {
                let _ = writeln!(text, "and read it at {base}/inbox");
            }
        }
        text.push('\n');
        text
    }
}

fn host(address: SocketAddr) -> String {
    if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() }
}

fn refused(refusal: &Refusal) -> StartError {
    StartError::Setting(format!("the default client could not be made: {refusal:?}"))
}
