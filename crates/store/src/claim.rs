//! Claims: due emails under a lease, renewed while an attempt runs, given back when it does not begin.

use crate::{Store, StoreError, on_engine};
use posthaste_model::attempt::Claim;
use posthaste_model::{EmailId, Timestamp, WorkerId};

/// Bodies that one claim answers with at most, in bytes: it ends behind the email that reaches this, so that it holds at
/// least one and few large ones. The others stay due.
pub const CLAIM_BYTES: usize = 16 * 1024 * 1024;

/// Priorities 1 to 5.
pub(crate) const LEVELS: usize = 5;
/// Every lower priority gets this part of what is claimed.
const SHARE: usize = 16;

/// How many to take of each priority, highest first, `limit` in all: each lower one that has any gets a sixteenth, at
/// least one; where the limit is too small for that they take turns.
pub(crate) fn portions(counts: &[usize], limit: usize, turn: usize) -> Vec<usize> {
    let mut amounts = vec![0; counts.len()];
    let waiting: Vec<usize> = (0..counts.len()).filter(|level| counts[*level] > 0).collect();
    let Some((_, lower)) = waiting.split_first() else { return amounts };
    let mut left = limit;
    if lower.len() < limit {
        for &level in lower {
            amounts[level] = (limit / SHARE).max(1).min(counts[level]);
            left -= amounts[level].min(left);
        }
    } else if !lower.is_empty() && left > 0 && turn.is_multiple_of(4) {
        amounts[lower[turn / 4 % lower.len()]] = 1;
        left -= 1;
    }
    for &level in &waiting {
        let more = (counts[level] - amounts[level]).min(left);
        amounts[level] += more;
        left -= more;
    }
    amounts
}

impl Store {
    /// Leases up to `limit` due emails to `worker`: higher priority first, and of every lower priority with due mail
    /// a share of a sixteenth, at least one (so at most four more than `limit`). Fewer where [`CLAIM_BYTES`] are
    /// reached.
    pub async fn claim_due(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        on_engine!(self, engine => engine.claim_due(worker, now, lease_until, limit).await)
    }

    /// Leases those of `emails` that are due to `worker`, for a bell that names them; the others (not due, in other
    /// hands, gone) are left out, as are those behind [`CLAIM_BYTES`].
    pub async fn claim_these(
        &self,
        worker: WorkerId,
        emails: &[EmailId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Claim>, StoreError> {
        on_engine!(self, engine => engine.claim_these(worker, emails, now, lease_until).await)
    }

    /// Prolongs leases; answers with the emails whose lease `worker` has lost.
    pub async fn renew_leases(
        &self,
        worker: WorkerId,
        held: Vec<(EmailId, u32)>,
        until: Timestamp,
    ) -> Result<Vec<EmailId>, StoreError> {
        on_engine!(self, engine => engine.renew_leases(worker, held, until).await)
    }

    /// Gives back emails whose attempt did not begin: due again at once, the attempt not counted.
    pub async fn hand_back(
        &self,
        worker: WorkerId,
        held: Vec<(EmailId, u32)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.hand_back(worker, held, now).await)
    }
}

#[cfg(test)]
mod tests {
    use super::portions;
    use proptest::prelude::*;

    #[test]
    fn higher_priorities_go_first_and_lower_ones_get_a_share() {
        assert_eq!(portions(&[100, 0, 100, 0, 100], 64, 1), [56, 0, 4, 0, 4]);
        assert_eq!(portions(&[3, 0, 100, 0, 100], 64, 1), [3, 0, 57, 0, 4]);
        assert_eq!(portions(&[0, 0, 0, 0, 2], 64, 1), [0, 0, 0, 0, 2]);
        assert_eq!(portions(&[9, 9, 9, 9, 9], 5, 1), [1, 1, 1, 1, 1]);
    }

    proptest! {
        #[test]
        fn takes_all_it_may_and_starves_nobody(
            counts in proptest::collection::vec(0_usize..40, 5),
            limit in 1_usize..40,
        ) {
            let mut ever = [0; 5];
            for turn in 0..64 {
                let amounts = portions(&counts, limit, turn);
                prop_assert_eq!(amounts.iter().sum::<usize>(), limit.min(counts.iter().sum()));
                for level in 0..5 {
                    prop_assert!(amounts[level] <= counts[level]);
                    ever[level] += amounts[level];
                }
            }
            for level in 0..5 {
                prop_assert!(counts[level] == 0 || ever[level] > 0, "priority {} starves", level + 1);
            }
        }
    }
}
