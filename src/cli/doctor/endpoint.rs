//! Whether the endpoint that is told what became of mail can be reached.

use super::Diagnosis;
use crate::app::App;
use crate::outbound::Target;
use tokio::net::TcpStream;

/// Looks whether anybody listens at `WEBHOOK_URL`. Nothing is sent: a call would be an event to whoever takes it.
pub async fn webhook(app: &App) -> Option<Diagnosis> {
    let part = "webhook";
    let settings = &app.settings.webhooks;
    let endpoint = settings.default_endpoint.as_ref()?;
    let remedy = "look at WEBHOOK_URL, and whether a firewall is between; calls are tried again meanwhile";
    let target = match Target::own(&endpoint.url) {
        Ok(target) => target,
        Err(error) => return Some(Diagnosis::failed(part, error.to_string(), remedy)),
    };
    let host = target.host().trim_matches(['[', ']']);
    let port = target.url().port_or_known_default().unwrap_or(443);
    Some(match tokio::time::timeout(settings.timeout, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) if endpoint.secret.is_none() => {
            let message = format!("{host}:{port} is there, but calls are not signed");
            Diagnosis::warning(part, message, "set WEBHOOK_SECRET")
        }
        Ok(Ok(_)) => Diagnosis::ok(part, format!("{host}:{port} is there")),
        Ok(Err(error)) => Diagnosis::failed(part, format!("{host}:{port}: {error}"), remedy),
        Err(_) => Diagnosis::failed(part, format!("{host}:{port} does not answer"), remedy),
    })
}
