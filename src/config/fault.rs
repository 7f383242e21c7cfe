//! What is wrong with a configuration, said so that it can be mended: where it was written, which key, what was
//! read, and what would be right. All faults are found before any is reported.

use super::raw::Origin;
use std::fmt;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// Where the value was written; `Origin::Default` when the fault is that nothing was.
    pub origin: Origin,
    /// The key (`delivery.lease`), or the variable when it names no key.
    pub key: String,
    /// What was read and what would be right. Never a secret.
    pub problem: String,
}

impl Fault {
    pub(super) fn new(origin: Origin, key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { origin, key: key.into(), problem: problem.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin != Origin::Default {
            write!(f, "{}: ", self.origin)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

/// Why the start stopped: every fault of the configuration, one a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<Fault>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}
