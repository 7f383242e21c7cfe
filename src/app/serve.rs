//! The server: roles, listeners, the orderly end.

use super::{App, BuildOptions, StartError, Welcome, doors, ingress, lock};
use crate::base::tasks::Tasks;
use crate::config::{Settings, TlsFiles, TransportKind};
use crate::dispatch::BreakerSettings;
use crate::dispatch::{Dispatch, DispatchParts, DispatchSettings, Identity, Phase};
use crate::health::{ConfiguredTransport, Health, HealthParts, OpenCircuits};
use crate::surfaces;
use crate::surfaces::http::client_address::TrustedProxies;
use crate::surfaces::http::edge::Edge;
use crate::surfaces::http::server::{self, HttpServerSettings};
use crate::upkeep::UpkeepParts;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The share of the drain time that requests in flight may take; the rest is the workers'.
pub(super) const REQUESTS_DRAIN: f64 = 0.4;

/// How long a start waits for the shared cache.
const CACHE_PATIENCE: Duration = Duration::from_secs(1);
/// How long the last spans may take to leave.
const TELLING: Duration = Duration::from_secs(3);
/// A worker that was silent for this long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(15);
/// Between two looks at what is left to work off.
const LOOK: Duration = Duration::from_millis(100);
/// When nothing moved for this long, what is left cannot go now.
const NOTHING_MOVES: Duration = Duration::from_secs(10);

/// What one process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Answers the API and pages.
    pub api: bool,
    /// Delivers.
    pub worker: bool,
    /// Takes mail by SMTP.
    pub smtp: bool,
}

impl Roles {
    /// Everything.
    pub const ALL: Self = Self { api: true, worker: true, smtp: true };

    /// Reads the words of `--role`; none means all.
    pub fn parse(words: &[String]) -> Result<Self, StartError> {
        let mut roles = Self { api: false, worker: false, smtp: false };
        for word in words.iter().flat_map(|words| words.split(',')) {
            match word.trim() {
                "all" => roles = Self::ALL,
                "api" => roles.api = true,
                "worker" => roles.worker = true,
                "smtp" => roles.smtp = true,
                other => {
                    let message = format!("--role {other}: is one of all, api, worker, smtp");
                    return Err(StartError::Setting(message));
                }
            }
        }
        Ok(if words.is_empty() { Self::ALL } else { roles })
    }

    /// The words again.
    pub fn words(self) -> String {
        let named = [(self.api, "api"), (self.worker, "worker"), (self.smtp, "smtp")];
        let words: Vec<&str> = named.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        words.join(",")
    }
}

/// Runs until a signal asks for the end, then ends in order: no new requests, those begun are answered, what is in
/// flight is delivered or handed back.
pub async fn serve(settings: Settings, roles: Roles, options: BuildOptions) -> Result<(), StartError> {
    let data = crate::config::DataDirectory::prepare(&settings.data.dir)?;
    let seat = match roles {
        // Where a server keeps the store any number of nodes may be everything.
        Roles::ALL if settings.store.embedded_file().is_some() => lock::take_all(&data.path("run"))?,
        further => lock::take_further(&data.path("run"), &further.words().replace(',', "-"))?,
    };
    let mut stop = StopSignals::listen()?;
    let app = App::build(settings, options).await?;
    let welcome = if roles.api { Some(Welcome::prepare(&app).await?) } else { None };
    let (front, back) = (app.front.clone(), Tasks::observed_by(&app.metrics));
    // Ended last, so that the last attempts are told of too.
    let telling = Tasks::observed_by(&app.metrics);
    app.traces.start(&telling);
    join_other_nodes(&app, &back).await;

    app.queue.start(&back);
    let dispatch =
        if roles.worker { Some(start_dispatch(&app, roles, &seat.name, &back).await?) } else { None };
    super::webhooks::start(&app, roles, &back).await?;
    crate::upkeep::start(upkeep_parts(&app), &back);
    crate::eo::watch(doors::eo(&app), &back);
    let health = Health::new(health_parts(&app, dispatch.as_ref()));
    let ground = doors::ground(&app, &health, dispatch);
    let mut ingress = if roles.smtp { Some(ingress::open(&app, &data, &ground.bodies)?) } else { None };
    let router = surfaces::router(&ground, roles.api);
    let listener = bind(&app, roles, router)?;
    let address = listener.address;
    // `http` is where requests are taken; a further worker's probes stand beside it under its own name.
    let reached_as = if roles.api { "http" } else { &seat.name };
    data.write_address(reached_as, address)?;
    tracing::info!(%address, roles = roles.words(), version = env!("CARGO_PKG_VERSION"), "posthaste listens");
    if let Some(mailer) = &app.settings.mail.kept_by {
        tracing::warn!(mailer, "mail that no route takes stays in the inbox, as MAIL_MAILER says");
    }
    listener.run(&front, &app);
    if let Some(ingress) = &mut ingress {
        ingress.run(&front);
    }
    if let Some(welcome) = welcome {
        welcome.print(&app, address);
    }

    stop.asked().await;
    let drain = app.settings.delivery.drain;
    let deadline = Instant::now() + drain;
    tracing::info!(drain_s = drain.as_secs(), "stopping: no new requests, what is in flight is finished");
    health.stopping();
    front.shutdown(drain.mul_f64(REQUESTS_DRAIN)).await;
    back.shutdown(deadline.saturating_duration_since(Instant::now())).await;
    telling.shutdown(TELLING).await;
    app.store.close().await;
    data.remove_address(reached_as);
    if let Some(ingress) = &ingress {
        ingress.leave(&data);
    }
    tracing::info!("stopped");
    drop(seat);
    Ok(())
}

/// Connects to what nodes share. Waits a little for it, so that the first requests are limited across nodes too; a
/// start never depends on it.
async fn join_other_nodes(app: &App, tasks: &Tasks) {
    if let Some(cache) = &app.cache {
        cache.watch(tasks);
        app.live.start(tasks);
        cache.is_up_within(CACHE_PATIENCE).await;
    }
}

fn upkeep_parts(app: &App) -> UpkeepParts {
    UpkeepParts {
        admin: app.admin.clone(),
        dns_every: app.settings.dns.check_every,
        store: app.store.clone(),
        blobs: app.blobs.clone(),
        clock: app.clock.clone(),
        bodies: app.settings.retention.bodies,
        records: app.settings.retention.records,
        faults: app.faults.clone(),
    }
}

fn health_parts(app: &App, dispatch: Option<&Dispatch>) -> HealthParts {
    let open_circuits = dispatch.cloned().map(|dispatch| -> OpenCircuits {
        Arc::new(move || {
            let all = dispatch.transports().into_iter();
            let open = all.filter(|one| one.circuit != Phase::Closed);
            open.map(|one| one.transport.to_string()).collect()
        })
    });
    let transports = app.settings.transports.iter().map(|one| ConfiguredTransport {
        name: one.name.clone(),
        is_outward: !matches!(one.kind, TransportKind::Inbox),
    });
    HealthParts {
        store: app.store.clone(),
        blobs: app.blobs.clone(),
        queue: app.queue.clone(),
        cache: app.cache.clone(),
        clock: app.clock.clone(),
        data_directory: app.data.root().to_owned(),
        unfinished: (app.settings.aegis.api_key.is_some() && app.settings.mail.from_address.is_none())
            .then_some("aegis.api_key is set, but mail.from_address is not: the Aegis API has no sender"),
        log_directory: app.settings.log.directory.clone(),
        transports: transports.collect(),
        default_transport: app.settings.mail.default_transport.clone(),
        reporters: app.reporters(),
        silence: app.settings.hooks.silence,
        open_circuits,
    }
}

/// Works off what is due with a worker of its own, and ends when nothing is. `tell` hears how much is left.
/// Answers what could not go: mail that stays due because no transport takes it now.
pub async fn work_off(app: &App, mut tell: impl FnMut(u64)) -> Result<u64, StartError> {
    let seat = lock::take_further(&app.data.path("run"), "worker")?;
    let tasks = Tasks::observed_by(&app.metrics);
    app.queue.start(&tasks);
    let worker = Roles { api: false, worker: true, smtp: false };
    let dispatch = start_dispatch(app, worker, &seat.name, &tasks).await?;
    let calls = super::webhooks::start(app, worker, &tasks).await?;
    let (mut left, mut moved_at) = (u64::MAX, Instant::now());
    loop {
        let now = app.clock.now();
        let held = dispatch.held() as u64;
        let due = app.store.sweep(now, now.minus(DEAD_AFTER)).await?.due + held;
        if due != left {
            (left, moved_at) = (due, Instant::now());
            tell(left);
        }
        if left == 0 || (held == 0 && moved_at.elapsed() >= NOTHING_MOVES) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    super::webhooks::told(calls.as_ref()).await?;
    tasks.shutdown(app.settings.delivery.drain).await;
    Ok(left)
}

async fn start_dispatch(app: &App, roles: Roles, seat: &str, tasks: &Tasks) -> Result<Dispatch, StartError> {
    let delivery = &app.settings.delivery;
    let host = host_name();
    let data = app.data.node_id(&app.chance)?;
    let settings = DispatchSettings {
        lease: delivery.lease,
        workers: delivery.workers,
        // The end comes after the requests' share of the drain.
        drain: delivery.drain.mul_f64(1.0 - REQUESTS_DRAIN),
        breaker: BreakerSettings { failures: delivery.breaker_failures, open_for: delivery.breaker_open },
        ..DispatchSettings::with_policy(delivery.retry.clone())
    };
    let parts = DispatchParts {
        store: app.store.clone(),
        queue: app.queue.clone(),
        live: app.live.clone(),
        renderer: app.renderer.clone(),
        routes: app.routes.clone(),
        ways: app.ways()?,
        shared_limits: app.cache.as_ref().map(|_| app.limits.clone()),
        settings,
        identity: Identity { node: format!("{host}:{data}:{seat}"), host, roles: roles.words() },
        clock: app.clock.clone(),
        chance: app.chance.clone(),
        metrics: app.metrics.clone(),
        tasks: tasks.clone(),
        faults: app.faults.clone(),
        traces: app.traces.clone(),
    };
    Ok(Dispatch::start(parts).await?)
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

struct Listener {
    address: SocketAddr,
    bound: server::BoundServer,
    edge: Arc<Edge>,
}

fn bind(app: &App, roles: Roles, router: axum::Router) -> Result<Listener, StartError> {
    let http = &app.settings.http;
    let settings = HttpServerSettings {
        header_timeout: http.header_timeout,
        idle_timeout: http.idle_timeout,
        max_connections: http.max_connections,
        drain: app.settings.delivery.drain.mul_f64(REQUESTS_DRAIN),
        tls: http.tls.as_ref().map(|files| read_tls("http", files)).transpose()?,
        ..HttpServerSettings::new(http.listen)
    };
    let trusted = TrustedProxies::new(http.trusted_proxies.clone());
    let edge = Edge::new(router, trusted, settings.header_bytes, app.metrics.clone(), app.chance.clone())
        .traced_by(app.traces.clone())
        .speaking(surfaces::voices::of, app.clock.clone());
    let bound = match server::bind(settings.clone()) {
        // Probes alone need not stand where requests are taken: a node beside a server of the same configuration works.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && !roles.api => {
            tracing::warn!(address = %http.listen, "http.listen is taken, the probes take a free port");
            server::bind(HttpServerSettings { listen: SocketAddr::new(http.listen.ip(), 0), ..settings })
        }
        bound => bound,
    };
    let bound =
        bound.map_err(|error| StartError::Listen { key: "http.listen", address: http.listen, error })?;
    Ok(Listener { address: bound.local_addr(), bound, edge: Arc::new(edge) })
}

impl Listener {
    fn run(self, tasks: &Tasks, app: &App) {
        let (tasks_inside, metrics) = (tasks.clone(), app.metrics.clone());
        let (bound, edge) = (self.bound, self.edge);
        tasks.spawn("http.listener", async move { bound.serve(edge, &tasks_inside, &metrics).await });
    }
}

/// The certificate of a section's listener.
pub(super) fn read_tls(section: &str, files: &TlsFiles) -> Result<Arc<rustls::ServerConfig>, StartError> {
    let read = |path: &Path| {
        std::fs::read(path)
            .map_err(|error| StartError::Setting(format!("{} cannot be read: {error}", path.display())))
    };
    server::tls::server_config(&read(&files.cert)?, &read(&files.key)?)
        .map_err(|error| StartError::Setting(format!("{section}.tls_cert, {section}.tls_key: {error}")))
}

/// SIGTERM and SIGINT; a second one while ending does not hurry it.
struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn listen() -> Result<Self, StartError> {
        use tokio::signal::unix::{SignalKind, signal};
        let system = |error| StartError::System { what: "listening for signals", error };
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(system)?,
            interrupt: signal(SignalKind::interrupt()).map_err(system)?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
