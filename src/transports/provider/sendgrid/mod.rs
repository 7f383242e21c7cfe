//! SendGrid, `POST /v3/mail/send`. It takes no finished message: it gets the pieces of ours.

mod body;
mod classify;

use super::call::{Call, Http};
use super::content;
use super::verdict::Verdict;
use crate::base::clock::Clock;
use crate::transports::{LeaseGuard, Outgoing};
use http::Method;
use posthaste_model::Secret;

/// For one message with everything, in bytes.
const MESSAGE_MAX: usize = 30_000_000;

/// An account at SendGrid.
#[derive(Debug)]
pub struct Sendgrid {
    http: Http,
    base_url: String,
    url: String,
    api_key: Secret,
    clock: Clock,
}

impl Sendgrid {
    /// The account of `api_key` at `base_url`.
    pub fn new(base_url: &str, api_key: Secret, clock: Clock) -> Result<Self, String> {
        let base_url = base_url.trim_end_matches('/').to_owned();
        let url = format!("{base_url}/v3/mail/send");
        Ok(Self { http: Http::new()?, base_url, url, api_key, clock })
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) async fn send(&self, outgoing: &Outgoing<'_>, lease: &LeaseGuard) -> Verdict {
        let content = match content::read(outgoing) {
            Ok(content) => content,
            Err(error) => return Verdict::over_limit(format!("SendGrid takes no raw messages: {error}")),
        };
        let (body, places) = match body::of(outgoing, &content) {
            Ok(made) => made,
            Err(limit) => return Verdict::over_limit(limit),
        };
        let body = body.to_string();
        if body.len() > MESSAGE_MAX {
            let message =
                format!("SendGrid takes {MESSAGE_MAX} bytes for a message, this one has {}", body.len());
            return Verdict::over_limit(message);
        }
        let call = Call {
            method: Method::POST,
            url: &self.url,
            headers: vec![
                ("Authorization", format!("Bearer {}", self.api_key.expose())),
                ("Content-Type", "application/json".to_owned()),
            ],
            body: vec![body.into()],
            lease: Some(lease),
        };
        match self.http.call(call).await {
            Ok(reply) => classify::verdict(&reply, &places, self.clock.now()),
            Err(error) => Verdict::of_error(error, "SendGrid"),
        }
    }
}
