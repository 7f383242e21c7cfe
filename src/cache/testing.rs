//! A real cache for tests: the server that `POSTHASTE_TEST_REDIS_URL` names, under a prefix of the test's own.

use super::SharedCache;
use crate::base::chance::Chance;
use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::base::vault::Vault;
use posthaste_model::Secret;
use std::time::Duration;

/// What all nodes of a test share: where the cache is, whose keys it holds, and the secret that hashes them.
pub struct TestCache {
    url: Secret,
    prefix: String,
    vault: Vault,
}

/// A server for this test; `None`, and a line about it, when none was given.
pub fn test_cache() -> Option<TestCache> {
    let Some(url) = std::env::var_os("POSTHASTE_TEST_REDIS_URL") else {
        eprintln!("not tested on a real cache: POSTHASTE_TEST_REDIS_URL is not set (./test sets it)");
        return None;
    };
    let chance = Chance::new();
    let prefix = format!("test-{:032x}", u128::from_be_bytes(chance.bytes()));
    let vault = Vault::new(&Vault::generate_key(&chance), chance).expect("a key");
    Some(TestCache { url: Secret::new(url.to_string_lossy().into_owned()), prefix, vault })
}

impl TestCache {
    /// One node's cache, up.
    pub async fn node(&self, tasks: &Tasks) -> SharedCache {
        let cache = SharedCache::new(&self.url, &self.prefix, &self.vault, &Metrics::new()).expect("a URL");
        cache.watch(tasks);
        assert!(cache.is_up_within(Duration::from_secs(30)).await, "{:?}", cache.state());
        cache
    }

    /// Every key of this test with its remaining time in milliseconds.
    pub async fn keys(&self, cache: &SharedCache) -> Vec<(String, i64)> {
        let pattern = format!("{}:*", self.prefix);
        let found = cache.call(|mut connection| async move {
            let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await?;
            let mut found = Vec::new();
            for key in keys {
                let left = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await?;
                found.push((key, left));
            }
            Ok(found)
        });
        found.await.expect("the cache works")
    }
}
