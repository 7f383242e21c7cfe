//! Ids of new emails: in the order in which they were given, also within one millisecond. Lists are ordered by id where
//! the store has no number for each email, and the last of a batch is its newest.

use crate::base::chance::Chance;
use posthaste_model::{EmailId, Timestamp};
use std::sync::{Mutex, PoisonError};

/// What the counter of a millisecond may reach: the 12 bits that an id has for it (RFC 9562, section 6.2, method 1).
const COUNTER_MAX: u16 = 0x0fff;
/// Where a millisecond's counter begins at most, by chance: the rest is room to count.
const BEGINS_BELOW: u16 = 0x0400;
/// A clock that is further behind the last id than this was set back: ids follow it.
const BEHIND_MAX: i64 = 1000;

/// The last id given.
#[derive(Debug, Default)]
pub(super) struct Ids(Mutex<Option<(i64, u16)>>);

impl Ids {
    /// The next id, of the present millisecond or, when that has no more, a later one.
    pub fn next(&self, chance: &Chance, now: Timestamp) -> EmailId {
        let mut bytes: [u8; 10] = chance.bytes();
        let begins = u16::from_be_bytes([bytes[0], bytes[1]]) % BEGINS_BELOW;
        // A plain pair: good whoever panicked.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, count) =
            match *last {
                Some((at, count)) if (0..=BEHIND_MAX).contains(&(at - now.millis())) => {
                    if count < COUNTER_MAX { (at, count + 1) } else { (at + 1, begins) }
                }
                _ => (now.millis(), begins),
            };
        *last = Some((at, count));
        drop(last);
        bytes[..2].copy_from_slice(&count.to_be_bytes());
        EmailId::new(Timestamp::from_millis(at), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_within_a_millisecond_over_its_room_and_when_the_clock_slips_back() {
        let (ids, chance) = (Ids::default(), Chance::new());
        let at = Timestamp::from_millis(1_800_000_000_000);
        let mut last = ids.next(&chance, at);
        for n in 0..10_000 {
            let slipped = Timestamp::from_millis(at.millis() - n % 5);
            let next = ids.next(&chance, slipped);
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        assert!(
            last < EmailId::new(Timestamp::from_millis(at.millis() + 10), [0; 10]),
            "it does not run ahead"
        );
        let earlier = Timestamp::from_millis(at.millis() - 3_600_000);
        assert!(ids.next(&chance, earlier) < last, "a clock that was set back is followed");
    }
}
