//! Questions to DNS, asked of the machine's resolver or of the one that is set. Answers are what they are now: nothing
//! is remembered, since whoever asks has just published a record.

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a name server may take to answer, and how often it is asked.
const TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;

/// Asks DNS. Made for each round of questions, so that nothing is remembered between two.
#[derive(Clone, Debug, Default)]
pub struct Dns {
    name_servers: Vec<SocketAddr>,
}

/// No answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DnsError(String);

impl Dns {
    /// Asks `name_servers`; none: those of the machine.
    pub fn new(name_servers: Vec<SocketAddr>) -> Self {
        Self { name_servers }
    }

    /// A resolver that has asked nothing yet.
    pub fn ask(&self) -> Result<Questions, DnsError> {
        let said = |error: NetError| DnsError(error.to_string());
        let mut builder: ResolverBuilder<TokioRuntimeProvider> = if self.name_servers.is_empty() {
            TokioResolver::builder_tokio().map_err(said)?
        } else {
            let servers = self.name_servers.iter().map(|address| name_server(*address)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = TIMEOUT;
        options.attempts = ATTEMPTS;
        options.cache_size = 0;
        Ok(Questions(builder.build().map_err(said)?))
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// One round of questions.
pub struct Questions(TokioResolver);

impl Questions {
    /// The TXT records of a name, the strings of each joined; none when there are none.
    pub async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError> {
        let text = |data: &RData| match data {
            RData::TXT(txt) => {
                let joined: Vec<u8> = txt.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
                Some(String::from_utf8_lossy(&joined).into_owned())
            }
            _ => None,
        };
        self.records(name, RecordType::TXT, text).await
    }

    /// The MX records of a name, as `10 mx.example.com`.
    pub async fn mx(&self, name: &str) -> Result<Vec<String>, DnsError> {
        let text = |data: &RData| match data {
            RData::MX(mx) => {
                let host = mx.exchange.to_ascii();
                Some(format!("{} {}", mx.preference, host.trim_end_matches('.').to_ascii_lowercase()))
            }
            _ => None,
        };
        self.records(name, RecordType::MX, text).await
    }

    async fn records(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<String>,
    ) -> Result<Vec<String>, DnsError> {
        // A dot at the end: the machine's search domains are not tried.
        match self.0.lookup(format!("{name}."), kind).await {
            Ok(found) => Ok(found.answers().iter().filter_map(|record| read(&record.data)).collect()),
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(Vec::new()),
            Err(error) => Err(DnsError(error.to_string())),
        }
    }
}
