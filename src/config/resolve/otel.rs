//! OpenTelemetry's usual variables. Its own rule, to go on with a warning, is not ours: a value that cannot be used
//! stops the start like any other, so that nobody looks for traces that never come.

use super::Resolver;
use crate::base::trace::{Sampler, SamplerError, TraceSettings};
use crate::config::value::WebUrl;
use posthaste_model::Secret;

/// The protocol that is spoken, and the default.
const SPOKEN: &str = "http/protobuf";

impl Resolver<'_> {
    /// How traces leave; nothing without a collector, or when they are switched off.
    pub(super) fn otel(&mut self) -> Option<TraceSettings> {
        let is_off = self.value("otel.disabled") || self.choice("otel.exporter") == Some("none");
        let sampler = self.sampler();
        let resource = self.resource();
        let headers = match self.written::<Secret>("otel.traces_headers") {
            Some(own) => self.headers("otel.traces_headers", &own),
            None => self
                .written::<Secret>("otel.headers")
                .map_or_else(Vec::new, |all| self.headers("otel.headers", &all)),
        };
        let (timeout, schedule_delay) = (self.wait("otel.timeout"), self.wait("otel.schedule_delay"));
        let endpoint = self.traces_endpoint();
        let protocol = self.choice("otel.protocol").unwrap_or(SPOKEN);
        if is_off {
            return None;
        }
        let endpoint = endpoint?;
        self.ensure(
            protocol == SPOKEN,
            "otel.protocol",
            "is not spoken; write http/protobuf, and let the endpoint name the collector's port for HTTP (4318)",
        );
        Some(TraceSettings { endpoint, headers, timeout, schedule_delay, sampler: sampler?, resource })
    }

    /// As it is when it is for traces alone, else the general one with the path that belongs to it.
    fn traces_endpoint(&mut self) -> Option<Secret> {
        let base = self.web_url_in_secret("otel.endpoint");
        let own = self.web_url_in_secret("otel.traces_endpoint");
        own.or_else(|| base.map(|base| format!("{}/v1/traces", base.trim_end_matches('/')))).map(Secret::new)
    }

    /// A URL that may hold a password, so that no message repeats it.
    fn web_url_in_secret(&mut self, path: &str) -> Option<String> {
        let url: Secret = self.written(path)?;
        let read = <WebUrl as crate::config::value::Setting>::read_text(url.expose());
        self.ensure(read.is_some(), path, "is not a URL; write http://127.0.0.1:4318");
        read.map(|_| url.expose().to_owned())
    }

    fn sampler(&mut self) -> Option<Sampler> {
        let name: String = self.value("otel.sampler");
        let share: Option<String> = self.written("otel.sampler_arg");
        match Sampler::parse(&name, share.as_deref()) {
            Ok(sampler) => Some(sampler),
            Err(error) => {
                let (path, text) = match error {
                    SamplerError::Name => ("otel.sampler", name),
                    SamplerError::Share => ("otel.sampler_arg", share.unwrap_or_default()),
                };
                self.fault(path, format!("{text:?} {error}"));
                None
            }
        }
    }

    /// What the process says of itself. `otel.service_name` goes before the attribute of that name.
    fn resource(&mut self) -> Vec<(String, String)> {
        let path = "otel.resource_attributes";
        let written: Option<String> = self.written(path);
        let read = written.as_deref().map_or(Some(Vec::new()), pairs);
        self.ensure(read.is_some(), path, "is not a list of name=value, with commas between");
        let mut resource = read.unwrap_or_default();
        let has_name = resource.iter().any(|(name, _)| name == "service.name");
        if !has_name || self.is_written("otel.service_name") {
            resource.retain(|(name, _)| name != "service.name");
            resource.insert(0, ("service.name".to_owned(), self.value("otel.service_name")));
        }
        let version = ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        if !resource.iter().any(|(name, _)| *name == version.0) {
            resource.push(version);
        }
        resource
    }

    fn headers(&mut self, path: &str, text: &Secret) -> Vec<(String, Secret)> {
        let fits = |(name, value): &(String, String)| {
            http::HeaderName::try_from(name.as_str()).is_ok()
                && http::HeaderValue::try_from(value.as_str()).is_ok()
        };
        let read = pairs(text.expose()).filter(|read| read.iter().all(fits));
        self.ensure(read.is_some(), path, "the value is not a list of name=value, with commas between");
        read.unwrap_or_default().into_iter().map(|(name, value)| (name, Secret::new(value))).collect()
    }
}

/// `name=value,name=value` with percent-encoded values, as the variables have it.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| {
            let (name, value) = item.split_once('=')?;
            let (name, value) = (decoded(name.trim())?, decoded(value.trim())?);
            (!name.is_empty()).then_some((name, value))
        })
        .collect()
}

/// RFC 3986, section 2.1; nothing when what comes out is no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = match (first, after) {
            (b'%', [high, low, ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok();
                digits
                    .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|d| u8::from_str_radix(d, 16).ok())
            }
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_pairs_are_read() {
        let read = pairs("deployment.environment=prod, team=a%2Cb%3D1,,x=").unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(read, [("deployment.environment", "prod"), ("team", "a,b=1"), ("x", "")]);
        assert_eq!(pairs("no pair"), None);
        assert_eq!(pairs("=value"), None);
        assert_eq!(pairs("a=%ff"), None);
        assert_eq!(pairs("a=100%").unwrap(), [("a".to_owned(), "100%".to_owned())]);
    }
}
