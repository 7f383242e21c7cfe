//! Who waits for what: a bell exists while somebody listens, so that news that concern nobody cost a look.

use std::collections::HashMap;
use std::future::pending;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Locks that share the bells.
const SHARDS: usize = 16;

type Shard<K> = HashMap<K, watch::Sender<()>>;

/// The bells that somebody listens to.
pub struct Bells<K> {
    shards: [Mutex<Shard<K>>; SHARDS],
    state: RandomState,
}

/// A bell, as one listener hears it.
pub struct Bell<K: Hash + Eq> {
    bells: Arc<Bells<K>>,
    key: K,
    rung: watch::Receiver<()>,
}

impl<K: Hash + Eq> Default for Bells<K> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), state: RandomState::new() }
    }
}

impl<K: Hash + Eq + Clone> Bells<K> {
    /// Listens: everything that rings from now on is heard.
    pub fn subscribe(self: &Arc<Self>, key: K) -> Bell<K> {
        let rung = self.shard(&key).entry(key.clone()).or_default().subscribe();
        Bell { bells: Arc::clone(self), key, rung }
    }
}

impl<K: Hash + Eq> Bells<K> {
    /// Rings for everybody who listens to `key`.
    pub fn ring(&self, key: &K) {
        if let Some(bell) = self.shard(key).get(key) {
            bell.send_replace(());
        }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K>> {
        let place = self.state.hash_one(key) as usize % SHARDS;
        // Every step leaves the map whole.
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

impl<K: Hash + Eq> Bell<K> {
    /// Waits until it rings; at once when it rang since the last time.
    pub async fn rung(&mut self) {
        if self.rung.changed().await.is_err() {
            // Cannot be while this listener is counted; then only the listener's own looks at the store help.
            pending::<()>().await;
        }
    }
}

impl<K: Hash + Eq> Drop for Bell<K> {
    fn drop(&mut self) {
        let mut shard = self.bells.shard(&self.key);
        // The last listener takes the bell away.
        if shard.get(&self.key).is_some_and(|bell| bell.receiver_count() <= 1) {
            shard.remove(&self.key);
        }
    }
}
