//! Mailgun, `POST /v3/{domain}/messages.mime`: it takes the message as we made it, byte for byte.

mod classify;
mod form;

use super::call::{Call, Http};
use super::verdict::Verdict;
use crate::base::clock::Clock;
use crate::transports::{LeaseGuard, Outgoing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use posthaste_model::Secret;

/// For one message with everything, in bytes.
const MESSAGE_MAX: usize = 25 * 1024 * 1024;
/// Recipients of one request.
pub(super) const RECIPIENTS_MAX: usize = 1000;

/// A sending domain at Mailgun.
#[derive(Debug)]
pub struct Mailgun {
    http: Http,
    base_url: String,
    url: String,
    authorization: Secret,
    clock: Clock,
}

impl Mailgun {
    /// The domain `domain` at `base_url`.
    pub fn new(base_url: &str, domain: &str, api_key: &Secret, clock: Clock) -> Result<Self, String> {
        let base_url = base_url.trim_end_matches('/').to_owned();
        let url = format!("{base_url}/v3/{domain}/messages.mime");
        let pair = format!("api:{}", api_key.expose());
        let authorization = Secret::new(format!("Basic {}", STANDARD.encode(pair)));
        Ok(Self { http: Http::new()?, base_url, url, authorization, clock })
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) async fn send(&self, outgoing: &Outgoing<'_>, lease: &LeaseGuard) -> Verdict {
        if outgoing.message.len() > MESSAGE_MAX {
            let size = outgoing.message.len();
            return Verdict::over_limit(format!(
                "Mailgun takes {MESSAGE_MAX} bytes, this message has {size}"
            ));
        }
        let form = form::of(outgoing);
        let call = Call {
            method: Method::POST,
            url: &self.url,
            headers: vec![
                ("Authorization", self.authorization.expose().to_owned()),
                ("Content-Type", form.content_type),
            ],
            body: form.body,
            lease: Some(lease),
        };
        match self.http.call(call).await {
            Ok(reply) => classify::verdict(&reply, outgoing, self.clock.now()),
            Err(error) => Verdict::of_error(error, "Mailgun"),
        }
    }
}
