//! Access tokens whose signature was found good before. A client shows the same token with each request of an hour, and
//! verifying RSA costs a quarter of what accepting an email does. Only the signature is remembered: times and revocation
//! are judged at every request.

use super::TokenError;
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Tokens remembered for one key at most. Nobody but a holder of good tokens gets any in.
const REMEMBERED: usize = 10_000;

/// The tokens of one signing key, by the hash of the whole token, its signature included.
pub(super) struct Verified<C>(Mutex<HashMap<[u8; 32], Arc<C>>>);

impl<C> Default for Verified<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<C> Verified<C> {
    /// What `token` claims: as remembered, or by `verify`, whose faults are not remembered.
    pub(super) fn claims(
        &self,
        token: &str,
        verify: impl FnOnce() -> Result<C, TokenError>,
    ) -> Result<Arc<C>, TokenError> {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(claims) = self.remembered().get(&hash) {
            return Ok(Arc::clone(claims));
        }
        let claims = Arc::new(verify()?);
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(hash, Arc::clone(&claims));
        Ok(claims)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Arc<C>>> {
        // Whole at every moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_token_is_verified_once_and_a_bad_one_each_time() {
        let verified = Verified::default();
        let fault = || verified.claims("bad", || Err(TokenError::Invalid)).map(|claims: Arc<u32>| *claims);
        assert!(matches!(fault(), Err(TokenError::Invalid)));
        assert!(matches!(verified.claims("good", || Ok(7)).map(|claims| *claims), Ok(7)));
        assert!(matches!(verified.claims("good", || Err(TokenError::Invalid)).map(|claims| *claims), Ok(7)));
        assert!(matches!(verified.claims("gooe", || Err(TokenError::Invalid)), Err(TokenError::Invalid)));
        assert!(matches!(fault(), Err(TokenError::Invalid)));
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let verified = Verified::default();
        for number in 0..=REMEMBERED {
            assert!(verified.claims(&number.to_string(), || Ok(number)).is_ok());
        }
        assert!(verified.remembered().len() <= REMEMBERED);
    }
}
