//! Where spans go, and under which name: the `OTEL_*` variables, read and checked by `config`.

use super::sampler::Sampler;
use posthaste_model::Secret;
use std::time::Duration;

/// How a process traces.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSettings {
    /// The collector's whole URL, `/v1/traces` included.
    pub endpoint: Secret,
    /// Header fields of every export: name and value.
    pub headers: Vec<(String, Secret)>,
    /// How long one export may take.
    pub timeout: Duration,
    /// How long a span waits for others to be exported with.
    pub schedule_delay: Duration,
    /// Which traces are recorded.
    pub sampler: Sampler,
    /// What the process says of itself, `service.name` included.
    pub resource: Vec<(String, String)>,
}

impl TraceSettings {
    /// The usual settings, to a collector at this URL.
    #[cfg(test)]
    pub fn to(endpoint: String) -> Self {
        Self {
            endpoint: Secret::new(endpoint),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            schedule_delay: Duration::from_secs(5),
            sampler: Sampler::parse("parentbased_always_on", None).expect("a sampler's name"),
            resource: vec![("service.name".into(), "posthaste".into())],
        }
    }
}
