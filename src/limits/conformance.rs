//! What every engine must do; run against each.

use super::{LimitKey, Limits, Scope};
use posthaste_model::{Rate, Timestamp};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Runtime;

const MINUTE: Rate = Rate::per_seconds(60, 60);

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + ms)
}

/// Asks `limits` from any thread.
struct Bench<'a> {
    limits: &'a Limits,
    runtime: &'a Runtime,
}

impl std::ops::Deref for Bench<'_> {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        self.limits
    }
}

impl Bench<'_> {
    fn now<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// The suite. `limits` must be empty.
pub fn engine_keeps_its_word(limits: &Limits, runtime: &Runtime) {
    let limits = &Bench { limits, runtime };
    exactly_the_limit_passes_under_concurrency(limits);
    the_window_slides(limits);
    a_large_limit_gives_room_back_by_slots(limits);
    a_lowered_limit_and_a_clock_set_back(limits);
    all_or_nothing(limits);
    what_is_given_back_can_be_taken_again(limits);
    failures_block_until_they_are_old(limits);
    scopes_and_keys_are_apart(limits);
}

fn exactly_the_limit_passes_under_concurrency(limits: &Bench<'_>) {
    let passed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..300 {
            scope.spawn(|| {
                let key = LimitKey::text(Scope::Credential, "crowd");
                if limits.now(limits.check(key, MINUTE, at(0))).allowed {
                    passed.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(passed.load(Ordering::SeqCst), 60);
}

fn the_window_slides(limits: &Bench<'_>) {
    let key = LimitKey::number(Scope::Credential, 1);
    for n in 0..60 {
        let decision = limits.now(limits.check(key, MINUTE, at(n * 500)));
        assert_eq!((decision.allowed, decision.limit, decision.remaining), (true, 60, 59 - n as u32));
    }
    let refused = limits.now(limits.check(key, MINUTE, at(30_000)));
    assert_eq!((refused.allowed, refused.reset_at, refused.retry_after_s), (false, at(60_000), 30));
    assert!(!limits.now(limits.check(key, MINUTE, at(59_999))).allowed);
    assert!(limits.now(limits.peek(key, MINUTE, at(60_000))).allowed);
    // Refused requests were not counted: at 60 s exactly the first leaves and exactly one passes.
    assert!(limits.now(limits.check(key, MINUTE, at(60_000))).allowed);
    assert!(!limits.now(limits.check(key, MINUTE, at(60_000))).allowed);
    assert_eq!(limits.now(limits.peek(key, MINUTE, at(10_000_000))).remaining, 60);
}

fn a_large_limit_gives_room_back_by_slots(limits: &Bench<'_>) {
    let key = LimitKey::text(Scope::Credential, "large");
    let rate = Rate::per_seconds(2000, 60);
    for n in 0..100 {
        assert!(limits.now(limits.check(key, rate, at(n))).allowed);
    }
    // 60 ms share a slot, and leave with its newest.
    let stand = |ms| limits.now(limits.peek(key, rate, at(ms)));
    let first = stand(100);
    assert_eq!(first.remaining, 1900);
    let leaves = first.reset_at.millis() - at(0).millis();
    assert!((60_000..60_060).contains(&leaves), "{leaves}");
    assert_eq!(stand(leaves - 1).remaining, 1900);
    assert!(stand(leaves).remaining > 1900);
    assert_eq!(stand(60_099).remaining, 2000);
}

fn a_lowered_limit_and_a_clock_set_back(limits: &Bench<'_>) {
    let key = LimitKey::text(Scope::Credential, "lowered");
    let rate = |count| Rate::per_seconds(count, 10);
    for ms in [0, 1_000, 2_000, 3_000] {
        assert!(limits.now(limits.check(key, rate(4), at(ms))).allowed);
    }
    let refused = limits.now(limits.check(key, rate(2), at(3_000)));
    assert_eq!((refused.allowed, refused.remaining, refused.reset_at), (false, 0, at(12_000)));
    let hour = 3_600_000;
    assert!(!limits.now(limits.check(key, rate(4), at(3_000 - hour))).allowed);
    assert!(limits.now(limits.check(key, rate(4), at(13_000 - hour))).allowed);
}

fn all_or_nothing(limits: &Bench<'_>) {
    let (wide, narrow) = (LimitKey::number(Scope::Address, 2), LimitKey::number(Scope::Credential, 2));
    let both = [(wide, Rate::per_seconds(10, 60)), (narrow, Rate::per_seconds(2, 60))];
    for remaining in [1, 0] {
        let decision = limits.now(limits.check_all(&both, at(0))).unwrap();
        assert_eq!((decision.allowed, decision.limit, decision.remaining), (true, 2, remaining));
    }
    let refused = limits.now(limits.check_all(&both, at(1))).unwrap();
    assert_eq!((refused.allowed, refused.limit), (false, 2));
    assert_eq!(limits.now(limits.peek(wide, both[0].1, at(1))).remaining, 8);
    assert_eq!(limits.now(limits.check_all(&[], at(1))), None);
    let (place, refused) = limits.now(limits.admit(&both, at(1))).unwrap_err();
    assert_eq!((place, refused.limit), (1, 2));
    let other = (LimitKey::number(Scope::Credential, 3), Rate::per_seconds(5, 60));
    let stands = limits.now(limits.admit(&[other, both[0]], at(1))).unwrap();
    assert_eq!(stands.iter().map(|stand| stand.remaining).collect::<Vec<_>>(), [4, 7]);
}

fn what_is_given_back_can_be_taken_again(limits: &Bench<'_>) {
    let few = (LimitKey::text(Scope::Transport, "few"), Rate::per_seconds(2, 60));
    let many = (LimitKey::text(Scope::Transport, "many"), Rate::per_seconds(2000, 86_400));
    let both = [few, many];
    let stands = |ms| both.map(|(key, rate)| limits.now(limits.peek(key, rate, at(ms))).remaining);
    limits.now(limits.give_back(&both, at(0)));
    assert_eq!(stands(0), [2, 2000], "nothing was counted");
    for ms in [0, 1] {
        assert!(limits.now(limits.admit(&both, at(ms))).is_ok());
    }
    assert!(limits.now(limits.admit(&both, at(2))).is_err());
    limits.now(limits.give_back(&both, at(3)));
    assert_eq!(stands(3), [1, 1999]);
    assert!(limits.now(limits.admit(&both, at(4))).is_ok());
    assert!(limits.now(limits.admit(&both, at(5))).is_err());
    for ms in [6, 7] {
        limits.now(limits.give_back(&both, at(ms)));
    }
    assert_eq!(stands(8), [2, 2000]);
    // The first left its window: what is given back is one that still counts.
    assert!(limits.now(limits.admit(&both, at(10))).is_ok());
    assert!(limits.now(limits.admit(&both, at(30_000))).is_ok());
    limits.now(limits.give_back(&both, at(60_010)));
    assert_eq!(stands(60_010), [2, 1999]);
    limits.now(limits.give_back(&[], at(9)));
}

fn failures_block_until_they_are_old(limits: &Bench<'_>) {
    let key = LimitKey::text(Scope::LoginAccount, "ann@example.com");
    let rate = Rate::per_seconds(5, 900);
    for n in 0..5 {
        assert_eq!(limits.now(limits.is_blocked(key, rate, at(n))), None);
        limits.now(limits.record_failure(key, rate, at(n)));
    }
    assert_eq!(limits.now(limits.is_blocked(key, rate, at(10))).map(|d| d.retry_after_s), Some(900));
    assert_eq!(limits.now(limits.is_blocked(key, rate, at(900_000))), None);
    limits.now(limits.record_failure(key, rate, at(900_000)));
    assert!(limits.now(limits.is_blocked(key, rate, at(900_000))).is_some());
    limits.now(limits.forget(key));
    assert_eq!(limits.now(limits.is_blocked(key, rate, at(900_000))), None);
}

fn scopes_and_keys_are_apart(limits: &Bench<'_>) {
    let once = Rate::per_seconds(1, 60);
    for key in [
        LimitKey::text(Scope::Credential, "a"),
        LimitKey::text(Scope::Credential, "b"),
        LimitKey::text(Scope::Smtp, "a"),
        LimitKey::both(Scope::Endpoint, 1, "a"),
        LimitKey::both(Scope::Endpoint, 1, "b"),
        LimitKey::both(Scope::Endpoint, 2, "a"),
    ] {
        assert!(limits.now(limits.check(key, once, at(0))).allowed, "{key:?}");
        assert!(!limits.now(limits.check(key, once, at(0))).allowed, "{key:?}");
    }
}

#[test]
fn memory_keeps_its_word() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    engine_keeps_its_word(&Limits::memory(), &runtime);
}
