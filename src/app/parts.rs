//! Settings become parts. What a command needs and what a server needs is the same; a command just starts nothing.

use super::{StartError, news, transports};
use crate::admin::{Admin, AdminParts};
use crate::auth::{Auth, AuthParts};
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::base::return_path::ReturnPaths;
use crate::base::tasks::Tasks;
use crate::base::trace::Traces;
use crate::base::vault::Vault;
use crate::blobs::Blobs;
use crate::cache::SharedCache;
use crate::config::{BlobSettings, CacheSettings, DataDirectory, QueueSettings, Settings, TransportKind};
use crate::directory::Directory;
use crate::dispatch::Way;
use crate::dns::Dns;
use crate::intake::{Intake, IntakeLimits, IntakeParts, LinkRule, UnsubscribeRule};
use crate::limits::Limits;
use crate::live::Live;
use crate::news::Desk;
use crate::queue::Queue;
use crate::render::Renderer;
use crate::routing::Routes;
use crate::transports::InboxBell;
use crate::transports::provider::{GraphApp, GraphPlace};
use posthaste_model::Secret;
use posthaste_model::fault::Faults;
use posthaste_store::Store;
use std::sync::Arc;

/// Emails that may wait in a local worker's memory.
const HAND_OVER: usize = 2048;

/// What a start decides beside the settings.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// Whether missing migrations are run.
    pub migrate: bool,
    /// Named places to stop at.
    pub faults: Faults,
    /// The time.
    pub clock: Clock,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { migrate: true, faults: Faults::none(), clock: Clock::system() }
    }
}

/// The parts of one installation, assembled.
pub struct App {
    /// The configuration.
    pub settings: Settings,
    /// The data directory.
    pub data: DataDirectory,
    /// The time.
    pub clock: Clock,
    /// Random numbers.
    pub chance: Chance,
    /// What is counted.
    pub metrics: Metrics,
    /// Seals secrets.
    pub vault: Vault,
    /// The truth.
    pub store: Store,
    /// Files.
    pub blobs: Blobs,
    /// Templates and MIME.
    pub renderer: Renderer,
    /// The bell.
    pub queue: Queue,
    /// What nodes share, if they do.
    pub cache: Option<SharedCache>,
    /// Sliding windows.
    pub limits: Limits,
    /// News of emails.
    pub live: Live,
    /// Which transport for which email.
    pub routes: Routes,
    /// Who is calling.
    pub auth: Auth,
    /// The way in.
    pub intake: Intake,
    /// What an operator may change.
    pub admin: Admin,
    /// Takes in what the world says of mail that went out.
    pub news: Desk,
    /// Return paths that name their email, where a domain is set for them.
    pub return_paths: Option<ReturnPaths>,
    /// Rung when the inbox takes a message.
    pub inbox_bell: InboxBell,
    /// Runs requests and what outlives them; ended before the workers.
    pub front: Tasks,
    /// Named places to stop at.
    pub faults: Faults,
    /// Where spans go.
    pub traces: Traces,
}

impl App {
    /// Opens and connects every part that the settings name.
    pub async fn build(settings: Settings, options: BuildOptions) -> Result<Self, StartError> {
        refuse_what_is_missing(&settings)?;
        let (clock, chance, metrics) = (options.clock.clone(), Chance::new(), Metrics::new());
        let faults = options.faults.clone();
        let traces = Traces::new(settings.otel.clone(), clock.clone(), chance.clone());
        let tasks = Tasks::observed_by(&metrics);
        let data = DataDirectory::prepare(&settings.data.dir)?;
        let vault = open_vault(&settings, &data, &chance)?;
        let store = open_store(&settings, &options, &metrics).await?;
        let blobs = open_blobs(&settings, &store, &clock, &chance, &faults)?;
        let renderer = Renderer::new(store.clone(), blobs.clone(), vault.clone(), faults.clone());
        let queue = open_queue(&settings.queue, &store, &chance, &metrics)?;
        let routes = transports::routes(&settings)?;
        let cache = shared_cache(&settings, &vault, &metrics)?;
        let limits = limits_on(cache.clone(), &metrics);
        let live = Live::new(store.clone(), cache.clone(), chance.bytes(), metrics.clone());
        let auth = Auth::new(AuthParts {
            jwt_secret: jwt_secret(&settings, &data, &chance)?,
            leeway: settings.mail_proxy.jwt_leeway,
            token_lifetime: settings.oauth.token_lifetime,
            classic_key: settings.aegis.api_key.clone(),
            directory: Directory::open(store.clone()).await?,
            store: store.clone(),
            vault: vault.clone(),
            clock: clock.clone(),
            chance: chance.clone(),
            tasks: tasks.clone(),
        });
        let intake = Intake::new(IntakeParts {
            store: store.clone(),
            blobs: blobs.clone(),
            renderer: renderer.clone(),
            queue: queue.clone(),
            live: live.clone(),
            auth: auth.clone(),
            routes: routes.clone(),
            clock: clock.clone(),
            chance: chance.clone(),
            limits: intake_limits(&settings, &vault),
            idempotency_keep: settings.idempotency.keep,
            tasks: tasks.clone(),
            faults: faults.clone(),
            traces: traces.clone(),
        });
        let admin = Admin::new(AdminParts {
            store: store.clone(),
            blobs: blobs.clone(),
            auth: auth.clone(),
            vault: vault.clone(),
            clock: clock.clone(),
            chance: chance.clone(),
            dns: Dns::new(settings.dns.name_servers.clone()),
            wishes: news::dns_wishes(&settings),
        });
        Ok(Self {
            news: news::desk(&settings, &store, &live, &clock),
            return_paths: news::return_paths(&settings, &vault),
            front: tasks,
            limits,
            live,
            cache,
            inbox_bell: InboxBell::new(),
            settings,
            data,
            clock,
            chance,
            metrics,
            vault,
            store,
            blobs,
            renderer,
            queue,
            routes,
            auth,
            intake,
            admin,
            faults,
            traces,
        })
    }

    /// Every configured transport.
    pub fn ways(&self) -> Result<Vec<Way>, StartError> {
        let ground = transports::Ground {
            store: &self.store,
            blobs: &self.blobs,
            bell: &self.inbox_bell,
            clock: &self.clock,
            chance: &self.chance,
            faults: &self.faults,
            return_paths: self.return_paths.as_ref(),
            vault: &self.vault,
        };
        let mut ways = transports::build(&self.settings.transports, self.settings.delivery.workers, &ground)?;
        ways.extend(transports::sender_configs(&self.settings, &ground)?);
        Ok(ways)
    }
}

impl App {
    /// The applications at Microsoft that transports are configured with, by the transport's name.
    pub fn graph_apps(&self) -> Vec<(String, GraphPlace, GraphApp)> {
        let each = self.settings.transports.iter().filter_map(|one| match &one.kind {
            TransportKind::Graph(account) => {
                let place = transports::graph_place(&account.endpoints);
                Some((one.name.clone(), place, transports::graph_app(account)))
            }
            _ => None,
        });
        each.collect()
    }
}

/// Seals secrets under the key that was given, or under the one that was made in the data directory.
fn open_vault(settings: &Settings, data: &DataDirectory, chance: &Chance) -> Result<Vault, StartError> {
    let key = match &settings.secrets.encryption_key {
        Some(given) => given.clone(),
        None => data.encryption_key(chance)?,
    };
    Ok(Vault::new(&key, chance.clone())?)
}

/// Windows that all nodes share where there is a cache, else this node's own.
fn limits_on(cache: Option<SharedCache>, metrics: &Metrics) -> Limits {
    cache.map_or_else(Limits::memory, |cache| Limits::shared(cache, metrics.clone()))
}

/// Signs the Mail Proxy's tokens: given, or made in the data directory and kept there.
fn jwt_secret(settings: &Settings, data: &DataDirectory, chance: &Chance) -> Result<Secret, StartError> {
    match &settings.mail_proxy.jwt_secret {
        Some(given) => Ok(given.clone()),
        None => Ok(data.secret("jwt.key", || Vault::generate_key(chance))?),
    }
}

/// Names what this version does not have instead of doing something else silently.
fn refuse_what_is_missing(settings: &Settings) -> Result<(), StartError> {
    if settings.attachments.link_above_bytes.is_some() && settings.http.public_url.is_none() {
        let message = "attachments.link_above_bytes: links need http.public_url; set PUBLIC_URL";
        return Err(StartError::Setting(message.into()));
    }
    Ok(())
}

fn open_queue(
    settings: &QueueSettings,
    store: &Store,
    chance: &Chance,
    metrics: &Metrics,
) -> Result<Queue, StartError> {
    let QueueSettings::RabbitMq { url, prefix } = settings else {
        return Ok(match store.bell() {
            Some(bell) => Queue::store(bell, HAND_OVER, chance.clone()),
            None => Queue::in_process(HAND_OVER),
        });
    };
    Queue::rabbit_mq(url, prefix, HAND_OVER, chance.clone(), metrics.clone()).ok_or_else(|| {
        let message = "queue.url: is not an AMQP URL; write amqp://USER:PASSWORD@HOST:5672/VHOST";
        StartError::Setting(message.into())
    })
}

async fn open_store(
    settings: &Settings,
    options: &BuildOptions,
    metrics: &Metrics,
) -> Result<Store, StartError> {
    let observed = metrics.clone();
    let open = posthaste_store::StoreSettings {
        migrate: options.migrate,
        faults: options.faults.clone(),
        observer: Arc::new(move |rows, time| observed.store_commit(rows, time.as_secs_f64())),
        ..settings.store.to_open()
    };
    Ok(Store::open(open).await?)
}

/// The cache that nodes share, if one is configured. It need not be there: then each node works alone until it is.
fn shared_cache(
    settings: &Settings,
    vault: &Vault,
    metrics: &Metrics,
) -> Result<Option<SharedCache>, StartError> {
    let CacheSettings::Redis(redis) = &settings.cache else { return Ok(None) };
    let cache = SharedCache::new(&redis.url, &redis.prefix, vault, metrics);
    cache.map(Some).map_err(|error| StartError::Setting(format!("cache.url: {error}")))
}

fn open_blobs(
    settings: &Settings,
    store: &Store,
    clock: &Clock,
    chance: &Chance,
    faults: &Faults,
) -> Result<Blobs, StartError> {
    match &settings.blobs {
        BlobSettings::Files(dir) => Ok(Blobs::files(dir, faults.clone())?),
        BlobSettings::S3(bucket) => Ok(Blobs::s3(bucket, clock.clone(), chance.clone())?),
        BlobSettings::Store => Ok(Blobs::stored(store.clone(), clock.clone())),
    }
}

fn intake_limits(settings: &Settings, vault: &Vault) -> IntakeLimits {
    IntakeLimits {
        recipients: settings.limits.recipients,
        batch: settings.limits.batch,
        attachment_bytes: settings.attachments.max_bytes,
        attachments_bytes: settings.attachments.max_total_bytes,
        allowed_types: settings.attachments.allowed_types.iter().map(|t| t.to_ascii_lowercase()).collect(),
        links: settings.attachments.link_above_bytes.zip(settings.http.public_url.as_ref()).map(
            |(above_bytes, base_url)| LinkRule {
                above_bytes,
                base_url: base_url.trim_end_matches('/').to_owned(),
                lifetime: settings.retention.bodies,
                vault: vault.clone(),
            },
        ),
        unsubscribe: settings.http.public_url.as_ref().map(|base_url| UnsubscribeRule {
            base_url: base_url.trim_end_matches('/').to_owned(),
            vault: vault.clone(),
        }),
        types_everywhere: settings.attachments.enforce_everywhere,
    }
}
