//! Random numbers from the cryptographic generator of aws-lc-rs, drawn in blocks: ids and jitter are needed many
//! times for each email, and one call for 4 KB costs little more than one for 16 bytes.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use posthaste_model::Timestamp;
use std::fmt;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// Bytes drawn from the generator at a time.
const BLOCK_BYTES: usize = 4096;

/// A source of unpredictable numbers, fit for keys and tokens. Cheap to clone, shared by threads.
#[derive(Clone)]
pub struct Chance(Arc<Source>);

struct Source {
    generator: SystemRandom,
    block: Mutex<Block>,
}

struct Block {
    bytes: [u8; BLOCK_BYTES],
    /// Bytes before this were handed out and are zeroed.
    used: usize,
}

impl Chance {
    /// A source over the process's generator, which seeds itself from the operating system.
    pub fn new() -> Self {
        let block = Block { bytes: [0; BLOCK_BYTES], used: BLOCK_BYTES };
        Self(Arc::new(Source { generator: SystemRandom::new(), block: Mutex::new(block) }))
    }

    /// Fills `out` with random bytes.
    pub fn fill(&self, out: &mut [u8]) {
        // A busy or poisoned block is no reason to wait or fail: the generator itself has a state for each thread.
        match self.0.block.try_lock() {
            Ok(mut block) if out.len() <= BLOCK_BYTES / 8 => block.take(out, &self.0.generator),
            _ => generate(&self.0.generator, out),
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A random number over the whole range.
    pub fn u64(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A random number from 0 (included) to 1 (excluded).
    pub fn f64(&self) -> f64 {
        // 53 bits are what an f64 holds exactly below 1.
        (self.u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// An id that sorts by `now` (RFC 9562, section 5.7); within one millisecond the order is random.
    pub fn uuid_v7(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}

impl Block {
    fn take(&mut self, out: &mut [u8], generator: &SystemRandom) {
        if self.used + out.len() > BLOCK_BYTES {
            generate(generator, &mut self.bytes);
            self.used = 0;
        }
        let drawn = &mut self.bytes[self.used..self.used + out.len()];
        out.copy_from_slice(drawn);
        // A number handed out must not be readable here later.
        drawn.fill(0);
        self.used += out.len();
    }
}

fn generate(generator: &SystemRandom, out: &mut [u8]) {
    generator.fill(out).expect("aws-lc's generator aborts the process rather than failing");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_differ_across_threads_and_blocks() {
        let chance = Chance::new();
        let drawn: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..2_000).map(|_| chance.u64()).collect())).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let distinct: HashSet<u64> = drawn.into_iter().flatten().collect();
        assert_eq!(distinct.len(), 8_000);
        assert!(!distinct.contains(&0), "a zeroed byte range was handed out");
    }

    #[test]
    fn fractions_stay_below_one_and_spread() {
        let chance = Chance::new();
        let drawn: Vec<f64> = (0..10_000).map(|_| chance.f64()).collect();
        assert!(drawn.iter().all(|x| (0.0..1.0).contains(x)));
        let mean = drawn.iter().sum::<f64>() / 10_000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }

    #[test]
    fn large_draws_bypass_the_block() {
        let chance = Chance::new();
        let mut large = vec![0; 3 * BLOCK_BYTES];
        chance.fill(&mut large);
        assert!(large.chunks(64).all(|part| part.iter().any(|&b| b != 0)));
        chance.fill(&mut []);
    }

    #[test]
    fn uuids_carry_their_time_and_version() {
        let chance = Chance::new();
        let early = chance.uuid_v7(Timestamp::from_millis(1_700_000_000_000));
        let late = chance.uuid_v7(Timestamp::from_millis(1_700_000_000_001));
        assert!(early < late);
        assert_eq!(early.get_version_num(), 7);
        assert_eq!(early.as_u128() >> 80, 1_700_000_000_000);
    }
}
