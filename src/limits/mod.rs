//! Rate limits and brute-force counters as sliding windows: at most `count` in any `window`, wherever one lays it.
//! Refused requests are not counted. The engine is chosen at start; callers see only [`Limits`].

mod memory;
mod shared;
mod window;

#[cfg(test)]
mod conformance;

use crate::base::metrics::Metrics;
use crate::cache::SharedCache;
use memory::MemoryLimits;
use posthaste_model::{Rate, Timestamp};
use shared::SharedLimits;
use std::net::IpAddr;
use std::sync::Arc;

/// What is limited. Each scope has its own room, so that a flood in one (addresses) cannot push out the counters
/// of another (keys).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Requests of an API key, token or OAuth client.
    Credential,
    /// Requests of one credential to one endpoint.
    Endpoint,
    /// Requests of one network address.
    Address,
    /// Failed logins of an account.
    LoginAccount,
    /// Failed logins from a network address.
    LoginAddress,
    /// Requests for access tokens and their failures.
    OAuth,
    /// What a signed-in user does.
    User,
    /// Messages by SMTP.
    Smtp,
    /// What a transport may carry.
    Transport,
}

impl Scope {
    const ALL: [Self; 9] = [
        Self::Credential,
        Self::Endpoint,
        Self::Address,
        Self::LoginAccount,
        Self::LoginAddress,
        Self::OAuth,
        Self::User,
        Self::Smtp,
        Self::Transport,
    ];

    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "key",
            Self::Endpoint => "endpoint",
            Self::Address => "ip",
            Self::LoginAccount => "login_account",
            Self::LoginAddress => "login_address",
            Self::OAuth => "oauth",
            Self::User => "user",
            Self::Smtp => "smtp",
            Self::Transport => "transport",
        }
    }
}

/// Who is limited, within a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitKey<'a> {
    /// What is limited.
    pub scope: Scope,
    /// Whom.
    pub id: KeyId<'a>,
}

/// An id within a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyId<'a> {
    /// A UUID or network address.
    Number(u128),
    /// Any other name.
    Text(&'a str),
    /// A number and a name, such as a credential and an endpoint.
    Both(u128, &'a str),
}

impl<'a> LimitKey<'a> {
    /// A key of `scope` for a UUID.
    pub fn number(scope: Scope, id: u128) -> Self {
        Self { scope, id: KeyId::Number(id) }
    }

    /// A key of `scope` for a name.
    pub fn text(scope: Scope, id: &'a str) -> Self {
        Self { scope, id: KeyId::Text(id) }
    }

    /// A key of `scope` for a UUID at an endpoint.
    pub fn both(scope: Scope, id: u128, name: &'a str) -> Self {
        Self { scope, id: KeyId::Both(id, name) }
    }

    /// A key of `scope` for a network address. An IPv6 client owns at least its /64, so that is what is counted.
    pub fn address(scope: Scope, address: IpAddr) -> Self {
        let number = match address.to_canonical() {
            IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
            IpAddr::V6(v6) => u128::from(v6) & !u128::from(u64::MAX),
        };
        Self::number(scope, number)
    }
}

/// How a request stands against its limit; the figures of the `X-RateLimit-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may pass; only then it was counted.
    pub allowed: bool,
    /// How many are allowed in a window.
    pub limit: u32,
    /// How many more may pass now.
    pub remaining: u32,
    /// When the oldest counted request leaves the window and makes room; now, when none is counted.
    pub reset_at: Timestamp,
    /// Whole seconds until one may pass again, at least 1; 0 when allowed.
    pub retry_after_s: u32,
}

impl Decision {
    /// A decision made at `now_ms` about a key that has room (again) at `room_at_ms`, milliseconds since 1970.
    fn at(allowed: bool, rate: Rate, remaining: u32, room_at_ms: i64, now_ms: i64) -> Self {
        Self {
            allowed,
            limit: rate.count,
            remaining,
            reset_at: Timestamp::from_millis(room_at_ms),
            retry_after_s: if allowed { 0 } else { window::seconds_until(room_at_ms, now_ms) },
        }
    }
}

/// How a request stands against several limits: against each of them when all allow it, or else against the first
/// that does not, with its place.
pub type Judged = Result<Vec<Decision>, (usize, Decision)>;

/// The limits of one server, or of all nodes that share its cache. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Limits(Engine);

#[derive(Clone, Debug)]
enum Engine {
    Memory(Arc<MemoryLimits>),
    Shared(Arc<SharedLimits>),
}

impl Limits {
    /// Counters in this process.
    pub fn memory() -> Self {
        Self(Engine::Memory(Arc::new(MemoryLimits::new())))
    }

    /// Counters in a cache that all nodes share, by that cache's clock. While it is away each node counts alone.
    pub fn shared(cache: SharedCache, metrics: Metrics) -> Self {
        Self(Engine::Shared(Arc::new(SharedLimits::new(cache, metrics))))
    }

    /// May one more request pass all of `limits` at `now`? If so, it is counted in each. Never more than `rate.count`
    /// pass in any `rate.window`, however many ask at once. A key is asked about with one window only; a key with
    /// limits over two windows is two keys.
    pub async fn admit(&self, limits: &[(LimitKey<'_>, Rate)], now: Timestamp) -> Judged {
        self.judge(limits, true, now).await
    }

    /// [`Self::admit`] for one limit.
    pub async fn check(&self, key: LimitKey<'_>, rate: Rate, now: Timestamp) -> Decision {
        self.judge_one(key, rate, true, now).await
    }

    /// [`Self::admit`] with one figure: the refusal, or else the limit with the fewest left. `None` only for no limits
    /// at all.
    pub async fn check_all(&self, limits: &[(LimitKey<'_>, Rate)], now: Timestamp) -> Option<Decision> {
        match self.judge(limits, true, now).await {
            Ok(decisions) => decisions.into_iter().min_by_key(|decision| decision.remaining),
            Err((_, refusal)) => Some(refusal),
        }
    }

    /// Takes back what [`Self::admit`] counted for what then did not happen: the request counted last, of each key.
    pub async fn give_back(&self, limits: &[(LimitKey<'_>, Rate)], now: Timestamp) {
        match &self.0 {
            Engine::Memory(memory) => memory.give_back(limits),
            Engine::Shared(_) if limits.is_empty() => {}
            Engine::Shared(shared) => shared.give_back(limits, now).await,
        }
    }

    /// How `key` stands at `now`, without counting.
    pub async fn peek(&self, key: LimitKey<'_>, rate: Rate, now: Timestamp) -> Decision {
        self.judge_one(key, rate, false, now).await
    }

    /// Counts a failed try (a wrong password) of `key`.
    pub async fn record_failure(&self, key: LimitKey<'_>, rate: Rate, now: Timestamp) {
        self.check(key, rate, now).await;
    }

    /// Whether `key` failed `rate.count` times within the window: until when it must wait, as a refusal.
    pub async fn is_blocked(&self, key: LimitKey<'_>, rate: Rate, now: Timestamp) -> Option<Decision> {
        let decision = self.peek(key, rate, now).await;
        (!decision.allowed).then_some(decision)
    }

    /// Forgets what was counted for `key` (a successful login).
    pub async fn forget(&self, key: LimitKey<'_>) {
        match &self.0 {
            Engine::Memory(memory) => memory.forget(key),
            Engine::Shared(shared) => shared.forget(key).await,
        }
    }

    async fn judge(&self, limits: &[(LimitKey<'_>, Rate)], count: bool, now: Timestamp) -> Judged {
        match &self.0 {
            Engine::Memory(memory) => memory.judge(limits, count, now),
            // No limits, no question.
            Engine::Shared(_) if limits.is_empty() => Ok(Vec::new()),
            Engine::Shared(shared) => shared.judge(limits, count, now).await,
        }
    }

    async fn judge_one(&self, key: LimitKey<'_>, rate: Rate, count: bool, now: Timestamp) -> Decision {
        match self.judge(&[(key, rate)], count, now).await {
            // One limit, one decision; one that cannot be is a request that passes.
            Ok(decisions) => decisions
                .first()
                .copied()
                .unwrap_or_else(|| Decision::at(true, rate, rate.count, now.millis(), now.millis())),
            Err((_, refusal)) => refusal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_by_what_their_owner_has() {
        let key = |text: &str| LimitKey::address(Scope::Address, text.parse().unwrap());
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    }
}
