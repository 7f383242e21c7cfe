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

/// A signing key of a domain, opened.
#[derive(Debug)]
struct Key {
    selector: String,
    is_active: bool,
    /// Takes most of a millisecond.
    is_slow: bool,
    signer: Result<DkimSigner, RenderError>,
}

/// The keys that sign one message.
#[derive(Debug, Default)]
pub(super) struct Signers {
    keys: Arc<Vec<Key>>,
    chosen: Vec<usize>,
}

impl Signers {
    /// Those named by `pinned`, in that order; without it, the active ones. `None` when one of them is not known here.
    fn choose(keys: &Arc<Vec<Key>>, pinned: Option<&[String]>) -> Option<Self> {
        let chosen = match pinned {
            None => (0..keys.len()).filter(|index| keys[*index].is_active).collect(),
            Some(pinned) => pinned
                .iter()
                .map(|selector| keys.iter().position(|key| key.selector == *selector))
                .collect::<Option<Vec<usize>>>()?,
        };
        Some(Self { keys: Arc::clone(keys), chosen })
    }

    /// One after the other; a key that cannot be used is an error.
    pub(super) fn each(&self) -> impl Iterator<Item = Result<&DkimSigner, RenderError>> {
        self.chosen.iter().map(|index| self.keys[*index].signer.as_ref().map_err(Clone::clone))
    }

    /// Whether one of them takes most of a millisecond.
    pub(super) fn is_slow(&self) -> bool {
        self.chosen.iter().any(|index| self.keys[*index].is_slow)
    }
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
    domains: HashMap<String, Arc<Vec<Key>>>,
}

impl SignerCache {
    pub(super) fn new(store: Store, vault: Vault) -> Self {
        Self { store, vault, known: Mutex::default() }
    }

    /// The signers of an email from `domain`: those that it was accepted with, also when they sign nothing new any
    /// more; or the active ones, for email that does not say.
    pub(super) async fn of(&self, domain: &str, pinned: Option<&[String]>) -> Result<Signers, RenderError> {
        if pinned.is_some_and(<[String]>::is_empty) {
            return Ok(Signers::default());
        }
        self.follow_revision().await?;
        let revision = {
            let known = self.known();
            if let Some(signers) = known.domains.get(domain).and_then(|keys| Signers::choose(keys, pinned)) {
                return Ok(signers);
            }
            known.revision
        };
        let keys = self.store.dkim_keys(domain).await.map_err(RenderError::Store)?;
        let keys: Arc<Vec<Key>> = Arc::new(keys.iter().map(|key| open(&self.vault, key)).collect());
        {
            let mut known = self.known();
            // Looked up before a change that was noticed meanwhile: used once, not remembered.
            if known.revision == revision {
                if known.domains.len() >= DOMAINS_MAX {
                    known.domains.clear();
                }
                known.domains.insert(domain.to_owned(), Arc::clone(&keys));
            }
        }
        Signers::choose(&keys, pinned).ok_or_else(|| {
            let selectors = pinned.unwrap_or_default().join(", ");
            unusable(
                format!("{selectors} of {domain}"),
                "a key that the email was accepted with is gone".into(),
            )
        })
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

fn open(vault: &Vault, key: &DkimKey) -> Key {
    let signer = opened(vault, key)
        .map_err(|reason| unusable(format!("{}._domainkey.{}", key.selector, key.domain), reason));
    Key { selector: key.selector.clone(), is_active: key.is_active, is_slow: key.algorithm == "rsa", signer }
}

fn opened(vault: &Vault, key: &DkimKey) -> Result<DkimSigner, String> {
    let place = format!("dkim_keys/{}/{}", key.domain, key.selector);
    let opened = vault.open(&place, &key.sealed_key).map_err(|error| format!("it {error}"))?;
    let domain = Domain::parse(&key.domain).map_err(|error| error.to_string())?;
    DkimSigner::new(domain, &key.selector, &opened).map_err(|error| error.to_string())
}

fn unusable(name: String, reason: String) -> RenderError {
    // Unsigned mail would be taken for forged: it waits until somebody has looked.
    tracing::error!(key = name, reason, "a DKIM key cannot be used");
    RenderError::SigningKey { name, reason }
}
