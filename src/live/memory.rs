//! Statuses remembered in this process: few, and for less than a second.

use super::EmailStatus;
use posthaste_model::EmailId;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long after the store was asked an answer is given again.
const KEPT: Duration = Duration::from_millis(700);
/// How long after a change nothing is remembered of an email: longer than `KEPT`, so that what was read before the
/// change, and comes late, is not remembered either.
const CHANGED: Duration = Duration::from_secs(1);
/// Locks that share the entries.
const SHARDS: usize = 16;
/// Entries of a shard; 16,384 in all.
const PER_SHARD: usize = 1024;

/// The entries.
pub struct Memory {
    shards: [Mutex<HashMap<EmailId, Entry>>; SHARDS],
    state: RandomState,
}

struct Entry {
    until: Instant,
    /// `None`: it has just changed.
    status: Option<EmailStatus>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), state: RandomState::new() }
    }
}

impl Memory {
    /// What is remembered of an email at `now`.
    pub fn status(&self, id: EmailId, now: Instant) -> Option<EmailStatus> {
        let shard = self.shard(id);
        shard.get(&id).filter(|entry| entry.until > now)?.status.clone()
    }

    /// Remembers at `now` what the store said when it was asked at `asked_at`.
    pub fn remember(&self, status: EmailStatus, asked_at: Instant, now: Instant) {
        let id = status.email_id;
        self.put(id, Entry { until: asked_at + KEPT, status: Some(status) }, now);
    }

    /// An email changed.
    pub fn forget(&self, id: EmailId, now: Instant) {
        self.shard(id).remove(&id);
        self.put(id, Entry { until: now + CHANGED, status: None }, now);
    }

    fn put(&self, id: EmailId, entry: Entry, now: Instant) {
        let mut shard = self.shard(id);
        let has_just_changed = |found: &Entry| found.status.is_none() && found.until > now;
        if entry.until <= now || shard.get(&id).is_some_and(has_just_changed) {
            return;
        }
        if shard.len() >= PER_SHARD && !shard.contains_key(&id) {
            shard.retain(|_, entry| entry.until > now);
            if shard.len() >= PER_SHARD {
                return;
            }
        }
        shard.insert(id, entry);
    }

    fn shard(&self, id: EmailId) -> MutexGuard<'_, HashMap<EmailId, Entry>> {
        let place = self.state.hash_one(id) as usize % SHARDS;
        // Every step leaves the map whole.
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::status::sample;
    use super::*;
    use posthaste_model::Timestamp;

    fn len(memory: &Memory) -> usize {
        memory.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn nothing_is_older_than_a_second_and_what_changed_is_forgotten() {
        let (memory, status, start) = (Memory::default(), sample(), Instant::now());
        let id = status.email_id;
        memory.remember(status.clone(), start, start);
        assert_eq!(memory.status(id, start), Some(status.clone()));
        assert_eq!(memory.status(id, start + KEPT), None);
        // An answer that took long counts from when it was asked for.
        let later = start + Duration::from_secs(60);
        memory.remember(status.clone(), later, later + KEPT);
        assert_eq!(memory.status(id, later + KEPT), None);
        let changed = later + Duration::from_secs(60);
        memory.forget(id, changed);
        memory.remember(status.clone(), changed, changed + KEPT / 2);
        assert_eq!(memory.status(id, changed + KEPT / 2), None, "it was read before the change");
        let after = changed + CHANGED;
        memory.remember(status.clone(), after, after);
        assert_eq!(memory.status(id, after), Some(status));
        memory.forget(id, after);
        assert_eq!(memory.status(id, after), None);
    }

    #[test]
    fn a_flood_is_bounded() {
        let (memory, now) = (Memory::default(), Instant::now());
        for n in 0..100_000_u64 {
            let mut chance = [0; 10];
            chance[..8].copy_from_slice(&n.to_be_bytes());
            memory.forget(EmailId::new(Timestamp::from_millis(0), chance), now);
        }
        assert!(len(&memory) <= SHARDS * PER_SHARD, "{}", len(&memory));
    }
}
