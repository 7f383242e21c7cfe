//! The way into every call: token, limit, permission, then the call.

use super::MailProxy;
use super::errors::MailProxyError;
use crate::admin::mail_permission_word;
use crate::auth::{Caller, Freshness};
use crate::limits::{LimitKey, Scope};
use crate::surfaces::http::admission::{self, Answered, Entered};
use crate::surfaces::http::exchange::{self, Exchange};
use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use posthaste_model::credential::Permission;
use posthaste_store::Actor;

/// The surface's name in metrics.
pub(super) const SURFACE: &str = "mail_proxy";

/// Refuses a caller that may not do `permission`.
pub(super) fn must(caller: &Caller, permission: Permission) -> Result<(), MailProxyError> {
    let refused = |_| MailProxyError::permission(mail_permission_word(permission));
    caller.must(permission).map_err(refused)
}

impl MailProxy {
    /// Lets in a caller of anything but the sending endpoints; the store is asked about its token.
    pub(super) async fn caller(
        &self,
        headers: &HeaderMap,
        permission: Permission,
    ) -> Result<Caller, MailProxyError> {
        let caller = self.auth.mail_bearer(presented(headers)?, Freshness::Now).await?;
        must(&caller, permission)?;
        Ok(caller)
    }

    /// An administrator, and who it is for the audit.
    pub(super) async fn administrator(&self, parts: &Parts) -> Result<(Caller, Actor), MailProxyError> {
        let caller = self.caller(&parts.headers, Permission::Admin).await?;
        let actor = Actor {
            kind: "api".to_owned(),
            id: Some(caller.credential.id.to_string()),
            address: Some(exchange::of(parts).client_address().to_string()),
        };
        Ok((caller, actor))
    }

    /// Lets in a caller of a sending endpoint, and counts it. A refused one is not counted.
    async fn enter(&self, exchange: &Exchange, headers: &HeaderMap) -> Result<Entered, MailProxyError> {
        let caller = self.auth.mail_bearer(presented(headers)?, Freshness::CheckedByCommit).await?;
        let rate = caller.credential.rate_limit.unwrap_or(self.per_token);
        let own = (LimitKey::number(Scope::Credential, caller.credential.id.as_u128()), rate);
        let address = (LimitKey::address(Scope::Address, exchange.client_address()), self.per_address);
        let stand = admission::admit(&self.limits, &self.metrics, [own, address], self.clock.now()).await;
        let decision = stand.map_err(|refused| MailProxyError::too_many(&refused))?;
        Ok(Entered { caller, decision })
    }

    /// Runs a call of a sending endpoint, and answers it with the figures of the limit. Where no commit has looked
    /// whether the token still works, the store is asked.
    pub(super) async fn sending(
        &self,
        parts: &Parts,
        work: impl AsyncFnOnce(&Exchange, &Entered) -> Result<Answered, MailProxyError>,
    ) -> Response {
        let exchange = exchange::of(parts);
        let entered = match self.enter(&exchange, &parts.headers).await {
            Ok(entered) => entered,
            Err(error) => return error.into_response(),
        };
        let outcome = work(&exchange, &entered).await;
        if let Err(error) = &outcome {
            self.metrics.refused(SURFACE, error.code());
        }
        let outcome = admission::confirm(outcome, self.still_good(&parts.headers)).await;
        entered.finish(outcome.unwrap_or_else(MailProxyError::into_response))
    }

    async fn still_good(&self, headers: &HeaderMap) -> Result<(), MailProxyError> {
        self.auth.mail_bearer(presented(headers)?, Freshness::Now).await?;
        Ok(())
    }
}

/// The token in the `Authorization` header.
fn presented(headers: &HeaderMap) -> Result<&str, MailProxyError> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else {
        return Err(MailProxyError::unauthorized("missing_token", "the Authorization header is missing"));
    };
    let token = line.to_str().ok().filter(|_| lines.next().is_none()).and_then(|line| {
        let (scheme, token) = line.trim().split_once(' ')?;
        let token = token.trim();
        let is_one = !token.is_empty() && !token.contains(char::is_whitespace);
        (scheme.eq_ignore_ascii_case("bearer") && is_one).then_some(token)
    });
    token.ok_or_else(|| {
        let message = "the Authorization header must be Bearer <token>";
        MailProxyError::unauthorized("invalid_token_format", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_token_is_read() {
        let read = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(AUTHORIZATION, line.parse().unwrap());
            }
            presented(&headers).map(str::to_owned).map_err(|error| error.code())
        };
        assert_eq!(read(&[]), Err("missing_token"));
        assert_eq!(read(&["Bearer a.b.c"]), Ok("a.b.c".into()));
        assert_eq!(read(&["bearer  a.b.c "]), Ok("a.b.c".into()));
        for bad in [&["a.b.c"][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["Bearer a b"], &["", ""]] {
            assert_eq!(read(bad), Err("invalid_token_format"), "{bad:?}");
        }
    }
}
