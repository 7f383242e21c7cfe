//! One rule: what it asks for, and what it leads to.

use super::{Door, RouteError, RouteQuery};
use posthaste_model::Rate;
use std::sync::Arc;

/// One rule: the email must meet every condition that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteRule {
    /// Domain of the sender (A-label form); `*.example.com` means every domain below it.
    pub from_domain: Option<String>,
    /// Domain of every recipient, likewise.
    pub to_domain: Option<String>,
    /// The door it came in by.
    pub source: Option<Door>,
    /// Id or name of the client.
    pub client: Option<String>,
    /// A tag it carries.
    pub tag: Option<String>,
    /// Its priority is one of these; none: any.
    pub priorities: Vec<u8>,
    /// The transports, tried in this order.
    pub transports: Vec<String>,
    /// One weight per transport; empty: strictly in order. With weights the first one is drawn by them, for each
    /// email anew but the same on each of its attempts.
    pub weights: Vec<u32>,
    /// The most that goes by this rule in a time.
    pub rate: Option<Rate>,
    /// The most that goes by this rule in any 24 hours.
    pub daily_quota: Option<u32>,
}

/// Whether a rule can be used.
pub(super) fn check(
    rule: &RouteRule,
    number: usize,
    exists: impl Fn(&str) -> bool,
) -> Result<(), RouteError> {
    if rule.transports.is_empty() {
        return Err(RouteError::NoTransport(number));
    }
    if let Some(name) = rule.transports.iter().find(|name| !exists(name)) {
        return Err(RouteError::UnknownTransport { rule: number, name: name.clone() });
    }
    let weights = &rule.weights;
    let fits = weights.len() == rule.transports.len() && weights.iter().any(|weight| *weight > 0);
    if weights.is_empty() || fits { Ok(()) } else { Err(RouteError::Weights(number)) }
}

/// The rule with its domains as addresses have them.
pub(super) fn lower_case(mut rule: RouteRule) -> RouteRule {
    for domain in [&mut rule.from_domain, &mut rule.to_domain].into_iter().flatten() {
        domain.make_ascii_lowercase();
    }
    rule
}

/// Whether the email meets every condition of the rule.
pub(super) fn matches(rule: &RouteRule, email: &RouteQuery<'_>) -> bool {
    let holds = |asked: &Option<String>, test: &dyn Fn(&str) -> bool| asked.as_deref().is_none_or(test);
    holds(&rule.from_domain, &|pattern| is_domain(pattern, email.from_domain))
        && holds(&rule.to_domain, &|pattern| email.to_domains.iter().all(|domain| is_domain(pattern, domain)))
        && rule.source.is_none_or(|door| door == Door::of(email.source))
        && holds(&rule.client, &|client| {
            email.client_name == Some(client) || email.client_id.to_string() == client
        })
        && holds(&rule.tag, &|tag| email.tags.iter().any(|t| t == tag))
        && (rule.priorities.is_empty() || rule.priorities.contains(&email.priority.get()))
}

/// Whether `domain` is `pattern`, or below it when it begins with `*.`.
fn is_domain(pattern: &str, domain: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => domain.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => domain == pattern,
    }
}

/// The names with the one drawn by weight moved to the front. The email's id is the lot: random enough, and the same
/// on each attempt, so that a retry is recognised by the provider that saw the first try.
pub(super) fn order(names: &Arc<[Arc<str>]>, weights: &[u32], lot: u128) -> Arc<[Arc<str>]> {
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if total == 0 {
        return Arc::clone(names);
    }
    let mut lot = (lot & u128::from(u32::MAX)) % total;
    for (index, weight) in weights.iter().enumerate() {
        let weight = u128::from(*weight);
        if lot < weight {
            let mut ordered = names.to_vec();
            if index < ordered.len() {
                ordered[..=index].rotate_right(1);
            }
            return ordered.into();
        }
        lot -= weight;
    }
    Arc::clone(names)
}
