use super::super::conformance::engine_keeps_its_word;
use super::super::{Engine, Limits, Scope};
use super::*;
use crate::base::tasks::Tasks;
use crate::cache::testing::{TestCache, test_cache};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const MINUTE: Rate = Rate::per_seconds(60, 60);

/// What a node of which the clock is wrong believes.
const WRONG: Timestamp = Timestamp::from_millis(1_000);

fn with_time_told(cache: SharedCache) -> Limits {
    Limits(Engine::Shared(Arc::new(SharedLimits::told_the_time(cache))))
}

async fn node(server: &TestCache, tasks: &Tasks) -> Limits {
    Limits::shared(server.node(tasks).await, Metrics::new())
}

#[test]
fn the_shared_cache_keeps_the_word_of_memory() {
    let Some(server) = test_cache() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let tasks = Tasks::new();
    let limits = runtime.block_on(async { with_time_told(server.node(&tasks).await) });
    engine_keeps_its_word(&limits, &runtime);
    runtime.block_on(tasks.shutdown(Duration::from_secs(20)));
}

/// Entry 58 of the acceptance list, below the surfaces.
#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_over_two_nodes_are_sixty_and_every_counter_ends() {
    let Some(server) = test_cache() else { return };
    let tasks = Tasks::new();
    let nodes = [node(&server, &tasks).await, node(&server, &tasks).await];
    let mut asked = JoinSet::new();
    for n in 0..300_u32 {
        let limits = nodes[n as usize % 2].clone();
        // Half a minute apart: it is the cache's clock that counts.
        let now = Timestamp::from_millis(i64::from(n % 2) * 30_000);
        asked.spawn(async move {
            let address = (LimitKey::text(Scope::Address, "192.0.2.1"), Rate::per_seconds(1000, 60));
            let own = (LimitKey::text(Scope::Credential, "crowd"), MINUTE);
            limits.admit(&[own, address], now).await
        });
    }
    let answers = asked.join_all().await;
    let passed: Vec<_> = answers.iter().flatten().collect();
    assert_eq!(passed.len(), 60);
    let mut left: Vec<u32> = passed.iter().map(|stands| stands[0].remaining).collect();
    left.sort_unstable();
    assert_eq!(left, (0..60).collect::<Vec<_>>(), "each was told its own place");
    for (place, refusal) in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!((*place, refusal.limit, refusal.remaining), (0, 60, 0));
        assert!((1..=60).contains(&refusal.retry_after_s), "{refusal:?}");
    }
    let cache = server.node(&tasks).await;
    let keys = server.keys(&cache).await;
    assert!(keys.iter().any(|(key, _)| key.contains(":limit:key:")), "{keys:?}");
    assert!(keys.iter().all(|(_, left)| (1..=60_000).contains(left)), "{keys:?}");
    assert!(!keys.iter().any(|(key, _)| key.contains("crowd") || key.contains("192.0.2.1")), "{keys:?}");
    tasks.shutdown(Duration::from_secs(20)).await;
}

#[tokio::test]
async fn brute_force_counters_hold_on_every_node_and_are_forgotten_on_every_node() {
    let Some(server) = test_cache() else { return };
    let tasks = Tasks::new();
    let (one, two) = (node(&server, &tasks).await, node(&server, &tasks).await);
    let (key, rate) = (LimitKey::text(Scope::LoginAccount, "ann@example.com"), Rate::per_seconds(5, 900));
    for _ in 0..5 {
        assert_eq!(two.is_blocked(key, rate, WRONG).await, None);
        one.record_failure(key, rate, WRONG).await;
    }
    let blocked = two.is_blocked(key, rate, WRONG).await.expect("blocked everywhere");
    assert!((1..=900).contains(&blocked.retry_after_s), "{blocked:?}");
    two.forget(key).await;
    assert_eq!(one.is_blocked(key, rate, WRONG).await, None);
    tasks.shutdown(Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_node_that_loses_the_cache_goes_on_from_what_it_let_through() {
    let Some(server) = test_cache() else { return };
    let tasks = Tasks::new();
    let (limits, key) = (node(&server, &tasks).await, LimitKey::text(Scope::Credential, "k"));
    let now = Timestamp::from_millis(1_700_000_000_000);
    for _ in 0..40 {
        assert!(limits.check(key, MINUTE, now).await.allowed);
    }
    let Engine::Shared(shared) = &limits.0 else { panic!("a shared engine") };
    // The cache is gone: what memory says now is what a caller would hear.
    let alone = |_: u32| shared.memory.judge(&[(key, MINUTE)], true, now).is_ok();
    assert_eq!((0..100).filter(|n| alone(*n)).count(), 20);
    tasks.shutdown(Duration::from_secs(20)).await;
}

#[test]
fn an_answer_that_cannot_be_is_none() {
    let limits = [(LimitKey::number(Scope::Credential, 1), MINUTE)];
    for bad in
        [&[][..], &[0], &[0, 1], &[0, 1, 5], &[0, 1, -5, 9], &[2, 1, 0, 9], &[1, 1], &[0, 1, 5, 9, 5, 9]]
    {
        assert!(read(bad, &limits).is_none(), "{bad:?}");
    }
    let passed = read(&[0, 1_000, 59, 61_000], &limits).unwrap().unwrap();
    assert_eq!((passed[0].remaining, passed[0].reset_at.millis()), (59, 61_000));
    let (place, refusal) = read(&[1, 1_000, 0, 31_001], &limits).unwrap().unwrap_err();
    assert_eq!((place, refusal.retry_after_s), (0, 31));
}
