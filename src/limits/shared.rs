//! Limits across nodes: the windows lie in the shared cache, judged there in one step and by its clock.
//!
//! What a node lets through is also counted in its own memory, so that a node that loses the cache goes on from what
//! it knows: at most the whole limit for each node, never the whole limit once more.

use super::memory::MemoryLimits;
use super::window::{slot_ms, window_ms};
use super::{Decision, Judged, KeyId, LimitKey};
use crate::base::metrics::Metrics;
use crate::cache::SharedCache;
use posthaste_model::{Rate, Timestamp};
use redis::Script;
use std::fmt;

/// What the metrics call it.
const LIMITS: &str = "limits";

/// What the script is to do.
#[derive(Clone, Copy)]
enum Step {
    GiveBack = -1,
    Look = 0,
    Count = 1,
}

/// The engine.
pub struct SharedLimits {
    cache: SharedCache,
    script: Script,
    memory: MemoryLimits,
    metrics: Metrics,
    /// The time as the script is told it: nothing, for the cache's own; tests tell theirs.
    told: fn(Timestamp) -> String,
}

impl SharedLimits {
    pub fn new(cache: SharedCache, metrics: Metrics) -> Self {
        Self {
            cache,
            script: Script::new(include_str!("windows.lua")),
            memory: MemoryLimits::new(),
            metrics,
            told: |_| String::new(),
        }
    }

    #[cfg(test)]
    pub fn told_the_time(cache: SharedCache) -> Self {
        Self { told: |now| now.millis().to_string(), ..Self::new(cache, Metrics::new()) }
    }

    /// As [`super::Limits::judge`].
    pub async fn judge(&self, limits: &[(LimitKey<'_>, Rate)], count: bool, now: Timestamp) -> Judged {
        let Some(judged) = self.ask(limits, count, now).await else {
            self.metrics.cache_missed(LIMITS);
            return self.memory.judge(limits, count, now);
        };
        if count && judged.is_ok() {
            for (key, rate) in limits {
                self.memory.check(*key, *rate, now);
            }
        }
        judged
    }

    /// As [`super::Limits::give_back`].
    pub async fn give_back(&self, limits: &[(LimitKey<'_>, Rate)], now: Timestamp) {
        self.memory.give_back(limits);
        if self.run(limits, Step::GiveBack, now).await.is_none() {
            self.metrics.cache_missed(LIMITS);
        }
    }

    pub async fn forget(&self, key: LimitKey<'_>) {
        self.memory.forget(key);
        let name = self.key(key);
        let forgotten = self.cache.call(|mut connection| async move {
            redis::cmd("DEL").arg(name).query_async::<i64>(&mut connection).await
        });
        if forgotten.await.is_none() {
            self.metrics.cache_missed(LIMITS);
        }
    }

    async fn ask(&self, limits: &[(LimitKey<'_>, Rate)], count: bool, now: Timestamp) -> Option<Judged> {
        let step = if count { Step::Count } else { Step::Look };
        read(&self.run(limits, step, now).await?, limits)
    }

    async fn run(&self, limits: &[(LimitKey<'_>, Rate)], step: Step, now: Timestamp) -> Option<Vec<i64>> {
        let mut call = self.script.prepare_invoke();
        call.arg((self.told)(now)).arg(step as i8);
        for (key, rate) in limits {
            call.key(self.key(*key)).arg(rate.count).arg(window_ms(*rate)).arg(slot_ms(*rate));
        }
        let call = &call;
        self.cache.call(|mut connection| async move { call.invoke_async(&mut connection).await }).await
    }

    fn key(&self, key: LimitKey<'_>) -> String {
        let mut name = Vec::with_capacity(40);
        match key.id {
            KeyId::Number(number) => {
                name.push(0);
                name.extend_from_slice(&number.to_be_bytes());
            }
            KeyId::Text(text) => {
                name.push(1);
                name.extend_from_slice(text.as_bytes());
            }
            KeyId::Both(number, text) => {
                name.push(2);
                name.extend_from_slice(&number.to_be_bytes());
                name.extend_from_slice(text.as_bytes());
            }
        }
        self.cache.hashed_key(&format!("limit:{}", key.scope.as_str()), &name)
    }
}

/// The script's answer; `None` for one that it cannot have given.
fn read(answer: &[i64], limits: &[(LimitKey<'_>, Rate)]) -> Option<Judged> {
    let (&refusing, rest) = answer.split_first()?;
    let (&now_ms, figures) = rest.split_first()?;
    let decide = |figures: &[i64], rate: &Rate, allowed| {
        let &[remaining, room_at] = figures else { return None };
        let remaining = u32::try_from(remaining).ok()?;
        Some(Decision::at(allowed, *rate, remaining, room_at, now_ms))
    };
    if refusing > 0 {
        let index = usize::try_from(refusing - 1).ok()?;
        let (_, rate) = limits.get(index)?;
        return Some(Err((index, decide(figures, rate, false)?)));
    }
    if figures.len() != 2 * limits.len() {
        return None;
    }
    let decisions = figures.chunks(2).zip(limits).map(|(figures, (_, rate))| decide(figures, rate, true));
    Some(Ok(decisions.collect::<Option<_>>()?))
}

impl fmt::Debug for SharedLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLimits").field("cache", &self.cache).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
