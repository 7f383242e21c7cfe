//! The routes: an ordered list of conditions and the transports that they lead to.

use super::Resolver;
use super::transports::configured;
use crate::config::settings::{RouteSettings, RouteSource, TransportSettings};

impl Resolver<'_> {
    pub(super) fn routes(&mut self, transports: &[TransportSettings]) -> Vec<RouteSettings> {
        self.raw.routes().into_iter().map(|number| self.route(number, transports)).collect()
    }

    fn route(&mut self, number: usize, known: &[TransportSettings]) -> RouteSettings {
        let key = |key: &str| format!("routes.{number}.{key}");
        let transports: Vec<String> = self.required(&key("transports")).unwrap_or_default();
        for name in &transports {
            let exists = known.iter().any(|transport| transport.name == *name);
            self.ensure(
                exists,
                &key("transports"),
                &format!("{name:?} is no transport; {}", configured(known)),
            );
        }
        self.ensure(
            !transports.is_empty() || !self.is_written(&key("transports")),
            &key("transports"),
            "is empty; name at least one transport",
        );
        let weights: Vec<u32> = self.written(&key("weights")).unwrap_or_default();
        self.ensure(
            weights.is_empty() || weights.len() == transports.len(),
            &key("weights"),
            "must be as many as transports",
        );
        let asked: Vec<u32> = self.written(&key("priority")).unwrap_or_default();
        let priorities: Vec<u8> = asked
            .iter()
            .filter_map(|one| u8::try_from(*one).ok().filter(|one| (1..=5).contains(one)))
            .collect();
        self.ensure(priorities.len() == asked.len(), &key("priority"), "must be numbers of 1 to 5");
        RouteSettings {
            from_domain: self.written(&key("from_domain")),
            to_domain: self.written(&key("to_domain")),
            source: self.choice(&key("source")).map(|word| match word {
                "smtp" => RouteSource::Smtp,
                _ => RouteSource::Api,
            }),
            client: self.written(&key("client")),
            tag: self.written(&key("tag")),
            priorities,
            transports,
            weights,
            rate: self.written(&key("rate")),
            daily_quota: self.written(&key("daily_quota")),
        }
    }
}
