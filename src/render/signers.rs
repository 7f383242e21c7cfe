//! The signing keys of each domain: opened and parsed once, and again when the configuration has changed.

use super::RenderError;
use crate::base::vault::Vault;
use posthaste_mail::Domain;
use posthaste_mail::dkim::DkimSigner;
use posthaste_model::domain::DkimKey;
use posthaste_store::Store;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the store's revision is taken for unchanged: so long may a new key wait for its first signature.
const REVISION_GOOD_FOR: Duration = Duration::from_secs(1);
/// Domains remembered; past it the memory starts anew.
const DOMAINS_MAX: usize = 10_000;

/// The signers of one domain.
#[derive(Debug, Default)]
pub(super) struct Signers {
    pub(super) all: Vec<DkimSigner>,
    /// One of them takes most of a millisecond.
    pub(super) is_slow: bool,
}

/// Hands out the signers of domains.
pub(super) struct SignerCache {
    store: Store,
    vault: Vault,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    revision: u64,
    read_at: Option<Instant>,
    domains: HashMap<String, Arc<Signers>>,
}

impl SignerCache {
    pub(super) fn new(store: Store, vault: Vault) -> Self {
        Self { store, vault, known: Mutex::default() }
    }

    /// The active signers of `domain`; none when it has no key.
    pub(super) async fn of(&self, domain: &str) -> Result<Arc<Signers>, RenderError> {
        self.follow_revision().await?;
        let revision = {
            let known = self.known();
            if let Some(signers) = known.domains.get(domain) {
                return Ok(Arc::clone(signers));
            }
            known.revision
        };
        let keys = self.store.dkim_keys(domain).await.map_err(RenderError::Store)?;
        let signers = Arc::new(open(&self.vault, &keys)?);
        let mut known = self.known();
        // Looked up before a change that was noticed meanwhile: used once, not remembered.
        if known.revision == revision {
            if known.domains.len() >= DOMAINS_MAX {
                known.domains.clear();
            }
            known.domains.insert(domain.to_owned(), Arc::clone(&signers));
        }
        Ok(signers)
    }

    /// Forgets everything when the configuration has changed.
    async fn follow_revision(&self) -> Result<(), RenderError> {
        {
            let mut known = self.known();
            if known.read_at.is_some_and(|at| at.elapsed() < REVISION_GOOD_FOR) {
                return Ok(());
            }
            // Before the look-up: one message asks, those beside it go on with what is known.
            known.read_at = Some(Instant::now());
        }
        let revision = self.store.revision().await;
        let mut known = self.known();
        match revision {
            Ok(revision) if revision != known.revision => {
                known.domains.clear();
                known.revision = revision;
            }
            Ok(_) => {}
            Err(error) => {
                known.read_at = None;
                return Err(RenderError::Store(error));
            }
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(vault: &Vault, keys: &[DkimKey]) -> Result<Signers, RenderError> {
    let mut signers = Signers::default();
    for key in keys.iter().filter(|key| key.is_active) {
        let named = |reason: String| {
            let name = format!("{}._domainkey.{}", key.selector, key.domain);
            // Unsigned mail would be taken for forged: it waits until somebody has looked.
            tracing::error!(key = name, reason, "a DKIM key cannot be used");
            RenderError::SigningKey { name, reason }
        };
        let place = format!("dkim_keys/{}/{}", key.domain, key.selector);
        let opened = vault.open(&place, &key.sealed_key).map_err(|error| named(format!("it {error}")))?;
        let domain = Domain::parse(&key.domain).map_err(|error| named(error.to_string()))?;
        let signer =
            DkimSigner::new(domain, &key.selector, &opened).map_err(|error| named(error.to_string()))?;
        signers.is_slow |= key.algorithm == "rsa";
        signers.all.push(signer);
    }
    Ok(signers)
}
