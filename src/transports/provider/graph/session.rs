//! Calls to Graph with a token, for one mailbox. A token that is refused is fetched anew once.

use super::account::Account;
use super::{GraphPlace, classify};
use crate::base::clock::Clock;
use crate::transports::provider::call::{Call, CallError, Http, Reply};
use crate::transports::provider::verdict::Verdict;
use crate::transports::{LeaseGuard, Outgoing};
use bytes::Bytes;
use http::Method;
use posthaste_model::Secret;
use posthaste_model::outcome::Failure;

/// One application, for one mailbox.
pub(super) struct Session<'a> {
    pub http: &'a Http,
    pub place: &'a GraphPlace,
    pub account: &'a Account,
    pub clock: &'a Clock,
    /// The mailbox, as it stands in a path.
    pub user: String,
}

/// Why a call brought no answer.
pub(super) enum Trouble {
    /// There is no token.
    Token(Failure),
    /// The call itself.
    Call(CallError),
}

impl Session<'_> {
    /// Calls `/v1.0/users/{user}{path}`.
    pub async fn call(
        &self,
        (method, path): (Method, &str),
        content_type: &'static str,
        body: Bytes,
        lease: Option<&LeaseGuard>,
    ) -> Result<Reply, Trouble> {
        let url = format!("{}/v1.0/users/{}{path}", self.place.graph_url, self.user);
        let mut stale: Option<Secret> = None;
        loop {
            let now = self.clock.now();
            let token = self.account.token(self.http, self.place, stale.as_ref(), now).await;
            let token = token.map_err(Trouble::Token)?;
            let mut headers = vec![("Authorization", format!("Bearer {}", token.expose()))];
            if !body.is_empty() {
                headers.push(("Content-Type", content_type.to_owned()));
            }
            let call = Call { method: method.clone(), url: &url, headers, body: vec![body.clone()], lease };
            let reply = self.http.call(call).await.map_err(Trouble::Call)?;
            if reply.status == 401 && stale.is_none() {
                stale = Some(token);
                continue;
            }
            return Ok(reply);
        }
    }

    /// The call that hands a whole message in.
    pub async fn send_mail(
        &self,
        content_type: &'static str,
        body: Bytes,
        outgoing: &Outgoing<'_>,
        lease: &LeaseGuard,
    ) -> (Verdict, bool) {
        let called = self.call((Method::POST, "/sendMail"), content_type, body, Some(lease)).await;
        self.judge_last(called, outgoing)
    }

    /// Of the call by which the message goes: no answer may mean that it went.
    pub fn judge_last(&self, called: Result<Reply, Trouble>, outgoing: &Outgoing<'_>) -> (Verdict, bool) {
        match called {
            Ok(reply) => classify::verdict(&reply, outgoing, self.clock.now()),
            Err(Trouble::Token(failure)) => (Verdict::later(failure), false),
            Err(Trouble::Call(error)) => (Verdict::of_error(error, "Microsoft Graph"), false),
        }
    }

    /// Of a call before that: without its success the message surely did not go.
    pub fn judge_earlier(
        &self,
        called: Result<Reply, Trouble>,
        outgoing: &Outgoing<'_>,
    ) -> Result<Reply, (Verdict, bool)> {
        match called {
            Ok(reply) if reply.is_success() => Ok(reply),
            Ok(reply) => Err(classify::before_sending(&reply, outgoing, self.clock.now())),
            Err(Trouble::Token(failure)) => Err((Verdict::later(failure), false)),
            Err(Trouble::Call(error)) => Err((Verdict::of_error_before(error, "Microsoft Graph"), false)),
        }
    }
}
