//! The one guarded connector: every HTTP call that leaves this process goes through an [`Outbound`].
//!
//! What it guards against is a URL that leads inward (server-side request forgery). Addresses are judged where they
//! count: a literal one just before the call, a name by the very addresses that the connection is then made to, so
//! that a name that changes its mind between check and connect gains nothing. A name of which one address is
//! forbidden is refused whole. Redirects are not followed, no proxy is taken from the environment, answers are read
//! up to a bound.
//!
//! How to use it: make one `Outbound` per [`Reach`] at the start and share it (clones share its connections).
//!
//! - URLs given by tenants: `Reach::Public`, or `Reach::Private` where `webhooks.allow_private` is set. Judge a URL as
//!   it is saved with [`Target::given`], which names what is wrong with it.
//! - URLs from the operator's own settings (providers' base URLs, `WEBHOOK_URL`): `Reach::Private` and
//!   [`Target::own`]; they may lie on this machine or in a private network, never on a link-local address.
//!
//! ```ignore
//! let outbound = Outbound::new(Reach::Private)?;
//! let target = Target::own("https://api.provider.example/v3/messages")?;
//! let answer = outbound.call(Call { headers, body, timeout, ..Call::post(target) }).await?;
//! ```
//!
//! [`CallFault::is_sent`] tells whether the peer may have taken the request although no answer came.

mod address;
mod target;
#[cfg(test)]
mod tests;

pub use address::Reach;
pub use target::{Target, TargetError};

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection, name look-up and TLS included, may take to stand.
const CONNECT: Duration = Duration::from_secs(10);
/// Idle connections kept per host.
const IDLE_PER_HOST: usize = 16;
/// How long an idle connection is kept: shorter than most servers do, so that few calls meet a closing one.
const IDLE: Duration = Duration::from_secs(20);

/// A client of everybody else's HTTP. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: reqwest::Client,
    reach: Reach,
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client can be made: {0}")]
pub struct OutboundError(String);

/// One request.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Where to.
    pub target: Target,
    /// Headers; `Host` and `Content-Length` are added.
    pub headers: HeaderMap,
    /// The body, sent as it is.
    pub body: Bytes,
    /// For everything from the name look-up to the last byte of the answer.
    pub timeout: Duration,
    /// Bytes of the answer's body that are read; what follows is cut off.
    pub answer_max: usize,
}

impl Call {
    /// A POST without headers or body, 30 s, answers up to 64 KB.
    pub fn post(target: Target) -> Self {
        Self {
            method: Method::POST,
            target,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(30),
            answer_max: 64 * 1024,
        }
    }

    /// The same as a GET.
    pub fn get(target: Target) -> Self {
        Self { method: Method::GET, ..Self::post(target) }
    }
}

/// What the peer answered. Redirects are answers like others.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, up to [`Call::answer_max`] bytes.
    pub body: Bytes,
    /// Whether something was cut off the body.
    pub is_cut: bool,
}

impl Answer {
    /// Is it a 2xx?
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What an answer is whose body breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnBreak {
    /// None.
    Lost,
    /// One that was cut.
    Cut,
    /// One that was cut; so is one whose body takes too long.
    Told,
}

/// No answer came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFault {
    /// The address, or one behind the name, may not be called. Nothing was sent.
    #[error("the address is not allowed: {0}")]
    Forbidden(String),
    /// No connection: unknown name, refused, unreachable, TLS. Nothing was sent.
    #[error("no connection: {0}")]
    NoConnection(String),
    /// The time was over; the peer may have the request.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection was lost; the peer may have the request.
    #[error("the connection was lost: {0}")]
    Lost(String),
}

impl CallFault {
    /// Whether the peer may have taken the request.
    pub fn is_sent(&self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::Lost(_))
    }
}

impl Outbound {
    /// A client that reaches what `reach` says.
    pub fn new(reach: Reach) -> Result<Self, OutboundError> {
        Self::resolving(reach, SystemNames)
    }

    fn resolving(reach: Reach, names: impl Names) -> Result<Self, OutboundError> {
        let tls = posthaste_smtp::client::tls_client_config(None);
        let mut tls = tls.map_err(|error| OutboundError(error.to_string()))?.as_ref().clone();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Guarded { names: Arc::new(names), reach })
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|error| OutboundError(told(&error)))?;
        Ok(Self { client, reach })
    }

    /// What it reaches.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Makes a call.
    pub async fn call(&self, call: Call) -> Result<Answer, CallFault> {
        let body = reqwest::Body::from(call.body.clone());
        self.exchange(call, body, OnBreak::Lost).await
    }

    /// Makes a call whose body is `body` in place of `call.body`, for those that watch it go out. Once the peer has
    /// said its status the call is answered, even if the rest of the answer breaks off.
    pub async fn call_with<B>(&self, call: Call, body: B) -> Result<Answer, CallFault>
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        self.exchange(call, reqwest::Body::wrap(body), OnBreak::Cut).await
    }

    /// Makes a call of which the status alone counts: once the peer has said it the call is answered, even if the rest
    /// of the answer breaks off or takes too long.
    pub async fn tell(&self, call: Call) -> Result<Answer, CallFault> {
        let body = reqwest::Body::from(call.body.clone());
        self.exchange(call, body, OnBreak::Told).await
    }

    async fn exchange(
        &self,
        call: Call,
        body: reqwest::Body,
        on_break: OnBreak,
    ) -> Result<Answer, CallFault> {
        // The connector never asks the resolver about a literal address, so it is judged here, before every call.
        if let Some(ip) = call.target.literal()
            && !self.reach.allows(ip)
        {
            return Err(CallFault::Forbidden(ip.to_string()));
        }
        let Call { method, target, headers, timeout, answer_max, .. } = call;
        let request = self.client.request(method, target.into_url()).headers(headers).body(body);
        let until = tokio::time::Instant::now() + timeout;
        let calling = async {
            let mut response = request.send().await.map_err(|error| fault(&error, timeout))?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let mut body = BytesMut::new();
            let mut is_cut = false;
            loop {
                let read = match on_break {
                    OnBreak::Told => tokio::time::timeout_at(until, response.chunk()).await.ok(),
                    OnBreak::Lost | OnBreak::Cut => Some(response.chunk().await),
                };
                let chunk = match read {
                    Some(Ok(Some(chunk))) => chunk,
                    Some(Ok(None)) => break,
                    Some(Err(error)) if on_break == OnBreak::Lost => return Err(fault(&error, timeout)),
                    Some(Err(_)) | None => {
                        is_cut = true;
                        break;
                    }
                };
                let room = answer_max - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    is_cut = true;
                    break;
                }
            }
            Ok(Answer { status, headers, body: body.freeze(), is_cut })
        };
        match tokio::time::timeout(timeout, calling).await {
            Ok(answered) => answered,
            Err(_elapsed) => Err(CallFault::TimedOut(timeout)),
        }
    }
}

fn fault(error: &reqwest::Error, timeout: Duration) -> CallFault {
    if let Some(refused) = causes(error).find_map(|cause| cause.downcast_ref::<Refused>()) {
        return CallFault::Forbidden(refused.to_string());
    }
    match () {
        () if error.is_connect() || error.is_builder() => CallFault::NoConnection(told(error)),
        () if error.is_timeout() => CallFault::TimedOut(timeout),
        () => CallFault::Lost(told(error)),
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source())
}

/// The innermost cause: the outer ones only name the URL again, which may carry a token.
fn told(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

/// Where names are looked up.
trait Names: Send + Sync + 'static {
    fn look_up(&self, name: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>>;
}

/// As the machine does: hosts file, then DNS.
struct SystemNames;

impl Names for SystemNames {
    fn look_up(&self, name: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    }
}

/// A name of which an address may not be called.
#[derive(Debug, thiserror::Error)]
#[error("{name} leads to {address}")]
struct Refused {
    name: String,
    address: std::net::IpAddr,
}

/// Hands the connector only addresses that may be called.
struct Guarded<N> {
    names: Arc<N>,
    reach: Reach,
}

impl<N: Names> reqwest::dns::Resolve for Guarded<N> {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let (reach, name) = (self.reach, name.as_str().to_owned());
        let looking = self.names.look_up(name.clone());
        Box::pin(async move {
            let found = looking.await?;
            if let Some(bad) = found.iter().find(|address| !reach.allows(address.ip())) {
                return Err(Refused { name, address: bad.ip() }.into());
            }
            let found: reqwest::dns::Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}
