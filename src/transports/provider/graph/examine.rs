//! What is wrong with a set-up at Microsoft, said so that it can be mended there.

use super::account::Account;
use super::session::{Session, Trouble};
use super::{GraphApp, GraphPlace, segment};
use crate::base::clock::Clock;
use crate::transports::provider::call::Http;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Method;
use serde_json::Value;

/// What was found of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: `login`, `permission Mail.Send`...
    pub step: String,
    /// `Some(true)`: fine. `Some(false)`: mail cannot go. `None`: cannot be told, or matters for some mail only.
    pub is_fine: Option<bool>,
    /// What was found.
    pub message: String,
    /// How to mend it; empty when nothing is wrong.
    pub remedy: String,
}

impl Finding {
    fn new(step: impl Into<String>, is_fine: Option<bool>, message: impl Into<String>, remedy: &str) -> Self {
        Self { step: step.into(), is_fine, message: message.into(), remedy: remedy.to_owned() }
    }
}

/// Tries an application: its login, the permissions in its token, and the mailbox `user` when one is given. Sends nothing.
pub async fn examine(
    place: &GraphPlace,
    app: &GraphApp,
    user: Option<&str>,
    clock: &Clock,
) -> Result<Vec<Finding>, String> {
    let http = Http::new()?;
    let account = Account::new(app.clone());
    let token = match account.token(&http, place, None, clock.now()).await {
        Ok(token) => token,
        Err(failure) => {
            let finding =
                Finding::new("login", Some(false), failure.message.clone(), login_remedy(&failure.message));
            return Ok(vec![finding]);
        }
    };
    let mut found = vec![Finding::new("login", Some(true), format!("{} gives tokens", place.login_url), "")];
    found.extend(permissions(roles(token.expose()).as_deref()));
    if let Some(user) = user {
        let session = Session { http: &http, place, account: &account, clock, user: segment(user) };
        found.push(mailbox(&session, user).await);
    }
    Ok(found)
}

/// Microsoft's codes for what is usually wrong.
fn login_remedy(message: &str) -> &'static str {
    const REMEDIES: [(&str, &str); 6] = [
        (
            "AADSTS7000215",
            "the client secret is wrong: copy the secret's Value (not its Secret ID) from Certificates & secrets",
        ),
        ("AADSTS7000222", "the client secret has expired: make a new one under Certificates & secrets"),
        (
            "AADSTS700016",
            "the tenant does not know the application: look at the Application (client) ID and the tenant id",
        ),
        (
            "AADSTS90002",
            "there is no such tenant: copy the Directory (tenant) ID from the application's overview",
        ),
        (
            "AADSTS900023",
            "the tenant id is no id: copy the Directory (tenant) ID from the application's overview",
        ),
        (
            "AADSTS53003",
            "a Conditional Access policy blocks the application: exclude it, or allow this machine's address",
        ),
    ];
    let known = REMEDIES.iter().find(|(code, _)| message.contains(code));
    known.map_or("look at MICROSOFT_TENANT_ID, MICROSOFT_CLIENT_ID, MICROSOFT_CLIENT_SECRET and whether MICROSOFT_LOGIN_URL can be reached", |(_, remedy)| remedy)
}

/// The application permissions in a token; `None` when it cannot be read, which Microsoft allows itself.
fn roles(token: &str) -> Option<Vec<String>> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let roles = claims.get("roles").and_then(Value::as_array).cloned().unwrap_or_default();
    Some(roles.iter().filter_map(|role| role.as_str().map(str::to_owned)).collect())
}

fn permissions(roles: Option<&[String]>) -> Vec<Finding> {
    let Some(roles) = roles else {
        let message = "the token does not say what it permits";
        return vec![Finding::new("permissions", None, message, "send a test mail: posthaste send")];
    };
    let has = |name: &str| roles.iter().any(|role| role == name);
    let mut found = Vec::new();
    found.push(if has("Mail.Send") {
        Finding::new("permission Mail.Send", Some(true), "granted", "")
    } else {
        let remedy = "in the app registration: API permissions, Add a permission, Microsoft Graph, Application \
                      permissions (not Delegated), Mail.Send; then Grant admin consent";
        Finding::new("permission Mail.Send", Some(false), "missing: no mail can be sent", remedy)
    });
    found.push(if has("Mail.ReadWrite") {
        Finding::new("permission Mail.ReadWrite", Some(true), "granted", "")
    } else {
        let remedy =
            "add Mail.ReadWrite (Application) the same way, if files of 3 MB and more are to be sent";
        Finding::new(
            "permission Mail.ReadWrite",
            None,
            "missing: files of 3 MB and more cannot be sent",
            remedy,
        )
    });
    found
}

async fn mailbox(session: &Session<'_>, user: &str) -> Finding {
    let step = format!("mailbox {user}");
    let called = session.call((Method::GET, "?$select=id"), "", Bytes::new(), None).await;
    let reply = match called {
        Ok(reply) => reply,
        Err(Trouble::Token(failure)) => return Finding::new(step, Some(false), failure.message, "see login"),
        Err(Trouble::Call(error)) => {
            let remedy = "look at MICROSOFT_GRAPH_URL, and whether a firewall is between";
            return Finding::new(step, Some(false), format!("no answer: {error:?}"), remedy);
        }
    };
    match reply.status {
        200..=299 => Finding::new(step, Some(true), "exists", ""),
        404 => {
            let remedy = "mail can only be sent as a user or shared mailbox of the tenant: look at the sender's address";
            Finding::new(step, Some(false), "the tenant has no such user", remedy)
        }
        403 => {
            let remedy =
                "nothing, if mail goes out: to look a user up the application needs User.Read.All too";
            Finding::new(step, None, "cannot be looked up without User.Read.All", remedy)
        }
        status => {
            let remedy = "try again, and look at MICROSOFT_GRAPH_URL";
            Finding::new(step, Some(false), format!("Microsoft Graph answered {status}"), remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_missing_permission_is_named() {
        let found = permissions(roles(&token(r#"{"roles":["Mail.ReadWrite","User.Read.All"]}"#)).as_deref());
        assert_eq!((found[0].is_fine, &*found[0].step), (Some(false), "permission Mail.Send"));
        assert!(found[0].remedy.contains("Grant admin consent"));
        assert_eq!(found[1].is_fine, Some(true));
        let none = permissions(roles(&token("{}")).as_deref());
        assert_eq!((none[0].is_fine, none[1].is_fine), (Some(false), None));
        assert_eq!(permissions(roles("opaque").as_deref())[0].is_fine, None);
    }

    #[test]
    fn usual_mistakes_have_their_remedy() {
        assert!(login_remedy("invalid_client AADSTS7000215: Invalid client secret").contains("Value"));
        assert!(login_remedy("connection refused").contains("MICROSOFT_LOGIN_URL"));
    }
}
