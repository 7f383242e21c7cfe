//! What transports and rules of the routes may carry, counted over all nodes and across restarts, where these share a
//! cache. Each process holds the same limits by itself too: while the cache is away, they go on from there.

use super::settings::Way;
use crate::base::clock::Clock;
use crate::limits::{LimitKey, Limits, Scope};
use posthaste_model::Rate;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A limit with the name under which all nodes count it. A name has one window only: of a limit that is changed to another
/// window the count begins anew.
type Named = (String, Rate);

/// The limits that nodes share.
#[derive(Debug)]
pub(super) struct SharedRates {
    limits: Limits,
    clock: Clock,
    of_transport: HashMap<Arc<str>, Vec<Named>>,
    of_rule: Vec<Vec<Named>>,
}

/// Why there is no place now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full {
    /// How long until there may be one.
    pub wait: Duration,
    /// It is the rule's limit that is reached, not the transport's.
    pub of_rule: bool,
}

impl SharedRates {
    /// The limits of these transports, and of the rules by their place in the routes.
    pub fn new(limits: Limits, clock: Clock, ways: &[Way], rules: &[Vec<Rate>]) -> Self {
        let transport = |way: &Way| {
            let name = way.transport.name();
            (Arc::clone(name), way.limits().map(|rate| named("transport", name, rate)).collect())
        };
        let rule = |(at, rates): (usize, &Vec<Rate>)| {
            rates.iter().map(|rate| named("route", &(at + 1).to_string(), *rate)).collect()
        };
        Self {
            limits,
            clock,
            of_transport: ways.iter().map(transport).collect(),
            of_rule: rules.iter().enumerate().map(rule).collect(),
        }
    }

    /// Takes a place under all limits of the rule (its number, from 1) and of the transport.
    pub async fn admit(&self, transport: &str, rule: Option<usize>) -> Result<(), Full> {
        let (keys, of_rule) = self.keys(transport, rule);
        if keys.is_empty() {
            return Ok(());
        }
        match self.limits.admit(&keys, self.clock.now()).await {
            Ok(_) => Ok(()),
            Err((place, refusal)) => Err(Full {
                wait: Duration::from_secs(u64::from(refusal.retry_after_s)),
                of_rule: place < of_rule,
            }),
        }
    }

    /// Gives back a place that was not used.
    pub async fn give_back(&self, transport: &str, rule: Option<usize>) {
        let (keys, _) = self.keys(transport, rule);
        if !keys.is_empty() {
            self.limits.give_back(&keys, self.clock.now()).await;
        }
    }

    /// The rule's limits, then the transport's; and how many are the rule's.
    fn keys(&self, transport: &str, rule: Option<usize>) -> (Vec<(LimitKey<'_>, Rate)>, usize) {
        let rule = rule.and_then(|number| self.of_rule.get(number.checked_sub(1)?));
        let rule = rule.map_or(&[][..], Vec::as_slice);
        let transport = self.of_transport.get(transport).map_or(&[][..], Vec::as_slice);
        (rule.iter().chain(transport).map(key_of).collect(), rule.len())
    }
}

fn key_of((name, rate): &Named) -> (LimitKey<'_>, Rate) {
    (LimitKey::text(Scope::Transport, name), *rate)
}

fn named(kind: &str, name: &str, rate: Rate) -> Named {
    (format!("{kind}/{name}/{}", rate.window.as_millis()), rate)
}
