//! Limits in this process: windows in sharded maps, each behind its own lock that is held for one look.

use super::window::Window;
use super::{Decision, Judged, KeyId, LimitKey, Scope};
use posthaste_model::{Rate, Timestamp};
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Maps for each scope: threads that limit different keys seldom meet.
const SHARDS_PER_SCOPE: usize = 16;
/// Keys kept in a shard; 32,768 for each scope. Beyond it the keys longest unused are forgotten.
const KEYS_PER_SHARD: usize = 2048;

/// The engine. Strings are kept as 128 bits of a keyed hash, so that a long name costs no more than a short one.
pub struct MemoryLimits {
    shards: Vec<Mutex<HashMap<u128, Window>>>,
    high: RandomState,
    low: RandomState,
}

impl MemoryLimits {
    pub fn new() -> Self {
        let shards = (0..Scope::ALL.len() * SHARDS_PER_SCOPE).map(|_| Mutex::default()).collect();
        Self { shards, high: RandomState::new(), low: RandomState::new() }
    }

    pub fn check(&self, key: LimitKey<'_>, rate: Rate, now: Timestamp) -> Decision {
        let (shard, hash) = self.place(key);
        let mut windows = self.lock(shard);
        if let Some(window) = windows.get_mut(&hash) {
            return window.check(rate, now, true);
        }
        if windows.len() >= KEYS_PER_SHARD {
            make_room(&mut windows, now);
        }
        windows.entry(hash).or_default().check(rate, now, true)
    }

    /// As [`super::Limits::admit`]; without `count` nothing is counted.
    pub fn judge(&self, limits: &[(LimitKey<'_>, Rate)], count: bool, now: Timestamp) -> Judged {
        let mut decisions = Vec::with_capacity(limits.len());
        for (passed, (key, rate)) in limits.iter().enumerate() {
            let decision = if count { self.check(*key, *rate, now) } else { self.peek(*key, *rate, now) };
            if !decision.allowed {
                // A refused request counts nowhere. In between, others may have seen it counted: they were refused
                // where, a moment later, they would have passed; never the other way round.
                if count {
                    limits[..passed].iter().for_each(|(key, _)| self.uncount(*key));
                }
                return Err((passed, decision));
            }
            decisions.push(decision);
        }
        Ok(decisions)
    }

    /// As [`super::Limits::give_back`].
    pub fn give_back(&self, limits: &[(LimitKey<'_>, Rate)]) {
        for (key, _) in limits {
            self.uncount(*key);
        }
    }

    fn peek(&self, key: LimitKey<'_>, rate: Rate, now: Timestamp) -> Decision {
        let (shard, hash) = self.place(key);
        match self.lock(shard).get_mut(&hash) {
            Some(window) => window.check(rate, now, false),
            None => Window::default().check(rate, now, false),
        }
    }

    pub fn forget(&self, key: LimitKey<'_>) {
        let (shard, hash) = self.place(key);
        self.lock(shard).remove(&hash);
    }

    fn uncount(&self, key: LimitKey<'_>) {
        let (shard, hash) = self.place(key);
        if let Some(window) = self.lock(shard).get_mut(&hash) {
            window.uncount();
        }
    }

    fn place(&self, key: LimitKey<'_>) -> (usize, u128) {
        let high = self.high.hash_one(key.id);
        let hash = match key.id {
            KeyId::Number(number) => number,
            KeyId::Text(_) | KeyId::Both(..) => {
                (u128::from(high) << 64) | u128::from(self.low.hash_one(key.id))
            }
        };
        let scope = Scope::ALL.iter().position(|&scope| scope == key.scope).unwrap_or(0);
        (scope * SHARDS_PER_SCOPE + high as usize % SHARDS_PER_SCOPE, hash)
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, HashMap<u128, Window>> {
        // A window is whole after every step, so a panic elsewhere leaves nothing half done.
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn keys(&self) -> usize {
        (0..self.shards.len()).map(|shard| self.lock(shard).len()).sum()
    }
}

impl fmt::Debug for MemoryLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLimits").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

/// Drops what no longer matters; if all of it does, the eighth that was used longest ago, so that this is seldom
/// needed again soon.
fn make_room(windows: &mut HashMap<u128, Window>, now: Timestamp) {
    windows.retain(|_, window| !window.is_idle(now));
    if windows.len() < KEYS_PER_SHARD {
        return;
    }
    let mut last: Vec<i64> = windows.values().map(Window::last_counted).collect();
    let (_, &mut oldest_kept, _) = last.select_nth_unstable(KEYS_PER_SHARD / 8);
    let before = windows.len();
    windows.retain(|_, window| window.last_counted() > oldest_kept);
    tracing::warn!(forgotten = before - windows.len(), "limit counters are full, the oldest were forgotten");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn a_flood_of_addresses_is_bounded_and_leaves_other_scopes_alone() {
        let limits = MemoryLimits::new();
        let rate = Rate::per_seconds(1, 60);
        let now = Timestamp::from_millis(1_000);
        let key = LimitKey::number(Scope::Credential, 7);
        assert!(limits.check(key, rate, now).allowed);
        for n in 0..200_000_u32 {
            let address = LimitKey::address(Scope::Address, IpAddr::V4(Ipv4Addr::from(n)));
            let now = Timestamp::from_millis(1_000 + i64::from(n) / 100);
            assert!(limits.check(address, rate, now).allowed);
        }
        assert!(limits.keys() <= SHARDS_PER_SCOPE * KEYS_PER_SHARD + 1, "{}", limits.keys());
        assert!(!limits.check(key, rate, now).allowed);
    }

    #[test]
    fn idle_keys_go_first() {
        let mut windows = HashMap::new();
        let rate = Rate::per_seconds(5, 1);
        for n in 0..KEYS_PER_SHARD as u128 {
            let ms = if n < 10 { 5_000 } else { 1_000 };
            let window: &mut Window = windows.entry(n).or_default();
            window.check(rate, Timestamp::from_millis(ms), true);
        }
        make_room(&mut windows, Timestamp::from_millis(5_500));
        assert_eq!(windows.len(), 10);
    }
}
