//! One sliding window: when the counted requests happened, so that never more than the limit lie in any window.
//!
//! Up to [`EXACT_UP_TO`] each request keeps its own millisecond. Above that, requests share a slot of a thousandth
//! of the window and expire with the newest of the slot: a limit of ten million costs as much as one of a thousand,
//! still never admits one too many, and gives room back at most a thousandth of a window late.

use super::Decision;
use posthaste_model::{Rate, Timestamp};
use std::collections::VecDeque;

/// Limits up to this count keep each request's own time.
const EXACT_UP_TO: u32 = 1024;
/// Slots of a window above that.
const SLOTS: i64 = 1000;
/// The longest window: a hundred years. Times behind it must stay whole numbers to every engine.
const LONGEST_MS: i64 = 100 * 365 * 86_400_000;

/// The counted requests of one key.
#[derive(Debug, Default)]
pub struct Window {
    slots: VecDeque<Slot>,
    counted: u32,
    /// The longest window this key was asked about, in milliseconds; older slots are of no use to anyone.
    kept_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The time of its newest request, milliseconds since 1970.
    newest: i64,
    count: u32,
}

impl Window {
    /// May one more pass? If so and `count`, it is counted.
    pub fn check(&mut self, rate: Rate, now: Timestamp, count: bool) -> Decision {
        let now_ms = now.millis();
        let window_ms = window_ms(rate);
        self.expire(now_ms, window_ms);
        let allowed = self.counted < rate.count;
        if allowed && count {
            self.count(rate, now_ms);
        }
        let remaining = rate.count.saturating_sub(self.counted);
        let room_at = self.room_at(rate, window_ms).unwrap_or(now_ms);
        Decision::at(allowed, rate, remaining, room_at, now_ms)
    }

    /// Takes back the request counted last.
    pub fn uncount(&mut self) {
        let Some(newest) = self.slots.back_mut() else { return };
        newest.count -= 1;
        self.counted -= 1;
        if newest.count == 0 {
            self.slots.pop_back();
        }
    }

    /// Whether nothing counted here matters at `now` any more.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.slots.back().is_none_or(|newest| newest.newest.saturating_add(self.kept_ms) <= now.millis())
    }

    /// When the last request was counted, milliseconds since 1970.
    pub fn last_counted(&self) -> i64 {
        self.slots.back().map_or(i64::MIN, |newest| newest.newest)
    }

    fn count(&mut self, rate: Rate, now_ms: i64) {
        self.counted += 1;
        let slot_ms = slot_ms(rate);
        if let Some(newest) = self.slots.back_mut()
            && newest.newest.div_euclid(slot_ms) == now_ms.div_euclid(slot_ms)
        {
            newest.newest = newest.newest.max(now_ms);
            newest.count += 1;
            return;
        }
        self.slots.push_back(Slot { newest: now_ms, count: 1 });
    }

    fn expire(&mut self, now_ms: i64, window_ms: i64) {
        self.kept_ms = window_ms;
        // A clock that was set back would keep requests of "later" for ever: they happened, at the latest, now.
        for slot in self.slots.iter_mut().rev().take_while(|slot| slot.newest > now_ms) {
            slot.newest = now_ms;
        }
        while let Some(oldest) = self.slots.front()
            && oldest.newest.saturating_add(window_ms) <= now_ms
        {
            self.counted -= oldest.count;
            self.slots.pop_front();
        }
    }

    /// When the next slot leaves so that fewer than the limit remain; for a window with room: when its oldest leaves.
    fn room_at(&self, rate: Rate, window_ms: i64) -> Option<i64> {
        // A limit that was lowered below what is already counted needs more than the oldest to go.
        let mut left = self.counted;
        for slot in &self.slots {
            left -= slot.count;
            if left < rate.count {
                return Some(slot.newest.saturating_add(window_ms));
            }
        }
        None
    }
}

/// A window's length in milliseconds, at least 1.
pub fn window_ms(rate: Rate) -> i64 {
    i64::try_from(rate.window.as_millis()).unwrap_or(i64::MAX).clamp(1, LONGEST_MS)
}

/// The milliseconds whose requests share a slot. One when exact: equal times may share it without losing anything.
pub fn slot_ms(rate: Rate) -> i64 {
    if rate.count <= EXACT_UP_TO { 1 } else { (window_ms(rate) / SLOTS).max(1) }
}

/// Whole seconds from `now_ms` to `at_ms`, at least 1.
pub fn seconds_until(at_ms: i64, now_ms: i64) -> u32 {
    let wait_ms = at_ms.saturating_sub(now_ms).max(1);
    u32::try_from(wait_ms.div_euclid(1000) + i64::from(wait_ms.rem_euclid(1000) > 0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn rate(count: u32, window_ms: u64) -> Rate {
        Rate { count, window: Duration::from_millis(window_ms) }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_million_a_minute_costs_a_thousand_slots() {
        let mut window = Window::default();
        let rate = rate(10_000_000, 60_000);
        for ms in 0..60_000 {
            for _ in 0..3 {
                assert!(window.check(rate, at(ms), true).allowed);
            }
        }
        assert!(window.slots.len() <= SLOTS as usize + 1, "{}", window.slots.len());
        assert_eq!(window.check(rate, at(59_999), false).remaining, 10_000_000 - 180_000);
    }

    #[test]
    fn figures_are_true() {
        let mut window = Window::default();
        let rate = rate(2, 60_000);
        let first = window.check(rate, at(1_000), true);
        assert_eq!((first.allowed, first.remaining, first.reset_at), (true, 1, at(61_000)));
        assert!(window.check(rate, at(31_500), true).allowed);
        let refused = window.check(rate, at(31_501), true);
        assert_eq!((refused.allowed, refused.remaining), (false, 0));
        assert_eq!((refused.reset_at, refused.retry_after_s), (at(61_000), 30));
        assert!(!window.check(rate, at(60_999), true).allowed);
        assert!(window.check(rate, at(61_000), true).allowed);
        assert!(window.is_idle(at(121_000)) && !window.is_idle(at(120_999)));
    }

    #[test]
    fn a_lowered_limit_and_a_clock_set_back_do_not_block_for_ever() {
        let mut window = Window::default();
        for ms in [0, 1_000, 2_000, 3_000] {
            assert!(window.check(rate(4, 10_000), at(ms), true).allowed);
        }
        let refused = window.check(rate(2, 10_000), at(3_000), true);
        assert_eq!((refused.remaining, refused.reset_at), (0, at(12_000)));
        let hour = 3_600_000;
        assert!(!window.check(rate(4, 10_000), at(3_000 - hour), true).allowed);
        assert!(window.check(rate(4, 10_000), at(13_000 - hour), true).allowed);
    }

    #[test]
    fn taking_back_makes_room() {
        let mut window = Window::default();
        assert!(window.check(rate(1, 1_000), at(0), true).allowed);
        window.uncount();
        window.uncount();
        assert!(window.check(rate(1, 1_000), at(1), true).allowed);
        assert!(!window.check(rate(1, 1_000), at(2), true).allowed);
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_limit(
            count in 1_u32..3_000,
            window_ms in 1_u64..5_000,
            steps in prop::collection::vec((0_i64..40, 1_u32..200), 1..200),
        ) {
            let rate = rate(count, window_ms);
            let mut window = Window::default();
            let mut admitted: Vec<i64> = Vec::new();
            let mut now = 0;
            for (step, times) in steps {
                now += step;
                for _ in 0..times {
                    if window.check(rate, at(now), true).allowed {
                        admitted.push(now);
                    }
                }
                let inside = admitted.iter().filter(|&&t| t > now - window_ms as i64).count();
                prop_assert!(inside <= count as usize);
                // And not far fewer: what is refused is refused for a reason, up to one slot's lateness.
                let lately = now - window_ms as i64 - (window_ms as i64 / SLOTS).max(1);
                let lately = admitted.iter().filter(|&&t| t > lately).count();
                prop_assert!(window.check(rate, at(now), false).allowed || lately >= count as usize);
            }
        }
    }
}
