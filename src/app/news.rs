//! Settings of what comes back become the desk that takes it in.

use super::App;
use crate::admin::DnsWishes;
use crate::base::clock::Clock;
use crate::base::return_path::ReturnPaths;
use crate::base::vault::Vault;
use crate::config::{Settings, TransportKind};
use crate::health::Reporter;
use crate::live::Live;
use crate::news::{Desk, DeskParts, Fetch, FetchError, Fetched, Proofs};
use crate::outbound::{Call, Outbound, Reach, Target};
use posthaste_model::news::NewsSource;
use posthaste_store::Store;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// SNS waits 15 s for our answer.
const FETCH: Duration = Duration::from_secs(10);

/// Fetches by the guarded connector, which is made when it is first needed.
#[derive(Default)]
struct Public(OnceLock<Outbound>);

impl Fetch for Public {
    fn get<'f>(
        &'f self,
        url: &'f str,
        most: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'f>> {
        Box::pin(async move {
            let said = |error: String| FetchError(error);
            let target =
                Target::given(url, Reach::Public).map_err(|error| said(format!("the URL {error}")))?;
            let outbound = if let Some(outbound) = self.0.get() {
                outbound
            } else {
                let made = Outbound::new(Reach::Public).map_err(|error| said(error.to_string()))?;
                self.0.get_or_init(|| made)
            };
            let call = Call { timeout: FETCH, answer_max: most, ..Call::get(target) };
            let answer = outbound.call(call).await.map_err(|fault| said(fault.to_string()))?;
            Ok(Fetched { status: answer.status, body: answer.body.to_vec() })
        })
    }
}

/// The desk.
pub(super) fn desk(settings: &Settings, store: &Store, live: &Live, clock: &Clock) -> Desk {
    let hooks = &settings.hooks;
    Desk::new(DeskParts {
        store: store.clone(),
        live: live.clone(),
        clock: clock.clone(),
        proofs: Proofs {
            sendgrid_public_keys: hooks.sendgrid_public_keys.clone(),
            mailgun_signing_keys: hooks.mailgun_signing_keys.clone(),
            sns_topic_arns: hooks.sns_topic_arns.clone(),
            sns_v2_topic_arns: hooks.sns_v2_topic_arns.clone(),
        },
        fetch: Arc::new(Public::default()),
    })
}

impl App {
    /// The providers that may be expected to report, by the transports that there are.
    pub fn reporters(&self) -> Vec<Reporter> {
        let hooks = &self.settings.hooks;
        let expected = [
            (NewsSource::Sendgrid, !hooks.sendgrid_public_keys.is_empty()),
            (NewsSource::Mailgun, !hooks.mailgun_signing_keys.is_empty()),
            (NewsSource::Ses, !hooks.sns_topic_arns.is_empty()),
        ];
        let by = |source| {
            let transports = self.settings.transports.iter();
            let leading = transports.filter(|transport| reported_by(&transport.kind) == Some(source));
            leading.map(|transport| transport.name.clone()).collect::<Vec<_>>()
        };
        expected
            .into_iter()
            .map(|(source, is_expected)| Reporter { source, transports: by(source), is_expected })
            .filter(|reporter| !reporter.transports.is_empty())
            .collect()
    }
}

/// Whose webhook tells what became of mail by such a transport. A provider's relay leads to it as its API does.
fn reported_by(kind: &TransportKind) -> Option<NewsSource> {
    match kind {
        TransportKind::Sendgrid(_) => Some(NewsSource::Sendgrid),
        TransportKind::Mailgun(_) => Some(NewsSource::Mailgun),
        TransportKind::Ses(_) => Some(NewsSource::Ses),
        TransportKind::Smtp(relay) => {
            let host = relay.host.to_ascii_lowercase();
            let known = [
                (".sendgrid.net", NewsSource::Sendgrid),
                (".mailgun.org", NewsSource::Mailgun),
                (".amazonaws.com", NewsSource::Ses),
            ];
            known.into_iter().find(|(suffix, _)| host.ends_with(suffix)).map(|(_, source)| source)
        }
        TransportKind::Graph(_) | TransportKind::Inbox => None,
    }
}

/// The return paths, where a domain is set for them.
pub(super) fn return_paths(settings: &Settings, vault: &Vault) -> Option<ReturnPaths> {
    settings.smtp.return_path_domain.clone().map(|domain| ReturnPaths::new(domain, vault.clone()))
}

/// What sending domains have to publish, as far as the settings tell.
pub(super) fn dns_wishes(settings: &Settings) -> DnsWishes {
    let mut spf: Vec<String> = Vec::new();
    for transport in &settings.transports {
        let mechanism = match &transport.kind {
            TransportKind::Smtp(relay) => match relay.host.parse() {
                Ok(IpAddr::V4(v4)) => format!("ip4:{v4}"),
                Ok(IpAddr::V6(v6)) => format!("ip6:{v6}"),
                Err(_) => format!("a:{}", relay.host),
            },
            TransportKind::Sendgrid(_) => "include:sendgrid.net".to_owned(),
            TransportKind::Mailgun(_) => "include:mailgun.org".to_owned(),
            TransportKind::Ses(_) => "include:amazonses.com".to_owned(),
            TransportKind::Graph(_) => "include:spf.protection.outlook.com".to_owned(),
            TransportKind::Inbox => continue,
        };
        if !spf.contains(&mechanism) {
            spf.push(mechanism);
        }
    }
    let smtp = &settings.smtp;
    let return_path = smtp.return_path_domain.as_ref();
    DnsWishes {
        spf,
        return_path: return_path.map(|domain| (domain.as_str().to_owned(), smtp.hostname.clone())),
    }
}
