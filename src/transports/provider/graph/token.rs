//! Access tokens of an application (OAuth 2.0 client credentials): fetched once for however many workers wait, kept
//! until shortly before their end.

use super::{GraphApp, GraphPlace};
use crate::transports::provider::call::{Call, CallError, Http};
use crate::transports::provider::verdict::{alarm, retry_after, told};
use http::Method;
use posthaste_model::outcome::Failure;
use posthaste_model::{FailureCode, Secret, Timestamp};
use reqwest::Url;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A token is not used in the last part of its life: a tenth of it, and two minutes at most.
const MARGIN_MAX: Duration = Duration::from_secs(120);
/// Microsoft's own when the answer says none.
const LIFE_DEFAULT: u64 = 3599;
/// No token is kept longer, whatever the answer says.
const LIFE_MAX: u64 = 24 * 3600;
/// After a failure those who waited get the same answer for this long, instead of asking one after the other. Far
/// shorter than the pause before a next attempt, which would else be used up without anybody asked.
const FAILURE_KEPT: Duration = Duration::from_millis(200);

/// The token of one application.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<Slot>);

#[derive(Debug, Default)]
struct Slot {
    token: Option<(Secret, Instant)>,
    failed: Option<(Failure, Instant)>,
}

impl Tokens {
    /// A token that is good now, and not `stale`, which Microsoft refused.
    pub async fn get(
        &self,
        http: &Http,
        place: &GraphPlace,
        app: &GraphApp,
        stale: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Secret, Failure> {
        // Whoever comes meanwhile waits for this one fetch.
        let mut slot = self.0.lock().await;
        let asked = Instant::now();
        if let Some((token, good_until)) = &slot.token
            && *good_until > asked
            && stale != Some(token)
        {
            return Ok(token.clone());
        }
        if let Some((failure, until)) = &slot.failed
            && *until > asked
        {
            return Err(failure.clone());
        }
        slot.token = None;
        match fetch(http, place, app, now).await {
            Ok((token, life)) => {
                let margin = (life / 10).min(MARGIN_MAX);
                slot.token = Some((token.clone(), asked + life.saturating_sub(margin)));
                slot.failed = None;
                Ok(token)
            }
            Err(failure) => {
                slot.failed = Some((failure.clone(), Instant::now() + FAILURE_KEPT));
                Err(failure)
            }
        }
    }
}

/// The scope that asks for all permissions granted to the application: the origin of Graph and `/.default`.
fn scope(graph_url: &str) -> String {
    let origin = Url::parse(graph_url).map(|url| url.origin().ascii_serialization());
    format!("{}/.default", origin.unwrap_or_else(|_| graph_url.to_owned()))
}

async fn fetch(
    http: &Http,
    place: &GraphPlace,
    app: &GraphApp,
    now: Timestamp,
) -> Result<(Secret, Duration), Failure> {
    let url = format!("{}/{}/oauth2/v2.0/token", place.login_url, super::segment(&app.tenant_id));
    let form = [
        ("client_id", app.client_id.as_str()),
        ("client_secret", app.client_secret.expose()),
        ("grant_type", "client_credentials"),
        ("scope", &scope(&place.graph_url)),
    ];
    let pairs: Vec<String> =
        form.iter().map(|(name, value)| format!("{name}={}", super::segment(value))).collect();
    let call = Call {
        method: Method::POST,
        url: &url,
        headers: vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())],
        body: vec![pairs.join("&").into()],
        lease: None,
    };
    let reply = match http.call(call).await {
        Ok(reply) => reply,
        Err(CallError::NotSent(reason) | CallError::Unanswered(reason)) => {
            let message = format!("Microsoft's login: {reason}");
            return Err(Failure {
                transport_down: true,
                ..Failure::new(FailureCode::TransportError, message)
            });
        }
        Err(CallError::LeaseLost) => {
            return Err(Failure::new(FailureCode::TransportError, "the request for a token was given up"));
        }
    };
    let answer = reply.json();
    if reply.is_success()
        && let Some(token) = answer["access_token"].as_str().filter(|token| !token.is_empty())
    {
        let life = &answer["expires_in"];
        let life = life.as_u64().or_else(|| life.as_str()?.parse().ok()).unwrap_or(LIFE_DEFAULT);
        return Ok((Secret::new(token), Duration::from_secs(life.min(LIFE_MAX))));
    }
    let error = answer["error"].as_str().unwrap_or_default();
    let description = answer["error_description"].as_str().unwrap_or_default();
    let first = description.lines().next().unwrap_or_default();
    let text = told("Microsoft's login", reply.status, &format!("{error} {first}"));
    Err(match reply.status {
        429 | 500..=599 => Failure {
            transport_down: reply.status != 429,
            retry_after: retry_after(&reply, now),
            ..Failure::new(FailureCode::ServerError, text)
        },
        _ => alarm(&text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tasks::Tasks;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    const BUSY: &str = "HTTP/1.1 500 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    const FRESH: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 24\r\n\r\n\
        {\"access_token\":\"fresh\"}";

    #[tokio::test]
    async fn a_failure_is_shared_by_those_who_waited_and_forgotten_before_the_next_attempt() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tasks = Tasks::new();
        let _login = tasks.spawn("test.login", async move {
            for answer in [BUSY, FRESH] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
                // What was not read would make of the end a reset, which may overtake the answer.
                stream.shutdown().await.unwrap();
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        });
        let http = Http::new().unwrap();
        let place = GraphPlace { login_url: url.clone(), graph_url: url };
        let app = GraphApp { tenant_id: "t".into(), client_id: "c".into(), client_secret: Secret::new("s") };
        let tokens = Tokens::default();
        let get = || tokens.get(&http, &place, &app, None, Timestamp::from_millis(0));
        let (asked, waited) = tokio::join!(get(), get());
        assert_eq!(asked.unwrap_err().code, FailureCode::ServerError);
        assert_eq!(waited.unwrap_err().code, FailureCode::ServerError);
        tokio::time::sleep(FAILURE_KEPT).await;
        assert_eq!(get().await.unwrap().expose(), "fresh");
    }

    #[test]
    fn the_scope_is_the_origin_of_graph() {
        assert_eq!(scope("https://graph.microsoft.com"), "https://graph.microsoft.com/.default");
        assert_eq!(scope("http://127.0.0.1:8443/graph"), "http://127.0.0.1:8443/.default");
    }
}
