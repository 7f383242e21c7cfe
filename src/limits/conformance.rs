//! What every engine must do; run against each.

use super::{LimitKey, Limits, Scope};
use posthaste_model::{Rate, Timestamp};
use std::sync::atomic::{AtomicUsize, Ordering};

const MINUTE: Rate = Rate::per_seconds(60, 60);

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + ms)
}

/// Waits for a future that never waits; an engine with a network brings its own runtime.
fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The suite. `limits` must be empty.
pub fn engine_keeps_its_word(limits: &Limits) {
    exactly_the_limit_passes_under_concurrency(limits);
    the_window_slides(limits);
    all_or_nothing(limits);
    failures_block_until_they_are_old(limits);
    scopes_and_keys_are_apart(limits);
}

fn exactly_the_limit_passes_under_concurrency(limits: &Limits) {
    let passed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..300 {
            scope.spawn(|| {
                let key = LimitKey::text(Scope::Credential, "crowd");
                if now(limits.check(key, MINUTE, at(0))).allowed {
                    passed.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(passed.load(Ordering::SeqCst), 60);
}

fn the_window_slides(limits: &Limits) {
    let key = LimitKey::number(Scope::Credential, 1);
    for n in 0..60 {
        let decision = now(limits.check(key, MINUTE, at(n * 500)));
        assert_eq!((decision.allowed, decision.limit, decision.remaining), (true, 60, 59 - n as u32));
    }
    let refused = now(limits.check(key, MINUTE, at(30_000)));
    assert_eq!((refused.allowed, refused.reset_at, refused.retry_after_s), (false, at(60_000), 30));
    assert!(!now(limits.check(key, MINUTE, at(59_999))).allowed);
    assert!(now(limits.peek(key, MINUTE, at(60_000))).allowed);
    // Refused requests were not counted: at 60 s exactly the first leaves and exactly one passes.
    assert!(now(limits.check(key, MINUTE, at(60_000))).allowed);
    assert!(!now(limits.check(key, MINUTE, at(60_000))).allowed);
    assert_eq!(now(limits.peek(key, MINUTE, at(10_000_000))).remaining, 60);
}

fn all_or_nothing(limits: &Limits) {
    let (wide, narrow) = (LimitKey::number(Scope::Address, 2), LimitKey::number(Scope::Credential, 2));
    let both = [(wide, Rate::per_seconds(10, 60)), (narrow, Rate::per_seconds(2, 60))];
    for remaining in [1, 0] {
        let decision = now(limits.check_all(&both, at(0))).unwrap();
        assert_eq!((decision.allowed, decision.limit, decision.remaining), (true, 2, remaining));
    }
    let refused = now(limits.check_all(&both, at(1))).unwrap();
    assert_eq!((refused.allowed, refused.limit), (false, 2));
    assert_eq!(now(limits.peek(wide, both[0].1, at(1))).remaining, 8);
    assert_eq!(now(limits.check_all(&[], at(1))), None);
}

fn failures_block_until_they_are_old(limits: &Limits) {
    let key = LimitKey::text(Scope::LoginAccount, "ann@example.com");
    let rate = Rate::per_seconds(5, 900);
    for n in 0..5 {
        assert_eq!(now(limits.is_blocked(key, rate, at(n))), None);
        now(limits.record_failure(key, rate, at(n)));
    }
    assert_eq!(now(limits.is_blocked(key, rate, at(10))).map(|d| d.retry_after_s), Some(900));
    assert_eq!(now(limits.is_blocked(key, rate, at(900_000))), None);
    now(limits.record_failure(key, rate, at(900_000)));
    assert!(now(limits.is_blocked(key, rate, at(900_000))).is_some());
    now(limits.forget(key));
    assert_eq!(now(limits.is_blocked(key, rate, at(900_000))), None);
}

fn scopes_and_keys_are_apart(limits: &Limits) {
    let once = Rate::per_seconds(1, 60);
    for key in [
        LimitKey::text(Scope::Credential, "a"),
        LimitKey::text(Scope::Credential, "b"),
        LimitKey::text(Scope::Smtp, "a"),
        LimitKey::both(Scope::Endpoint, 1, "a"),
        LimitKey::both(Scope::Endpoint, 1, "b"),
        LimitKey::both(Scope::Endpoint, 2, "a"),
    ] {
        assert!(now(limits.check(key, once, at(0))).allowed, "{key:?}");
        assert!(!now(limits.check(key, once, at(0))).allowed, "{key:?}");
    }
}

#[test]
fn memory_keeps_its_word() {
    engine_keeps_its_word(&Limits::memory());
}
