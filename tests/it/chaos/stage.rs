//! Two API nodes and two workers, each with a data directory of its own, on parts that can be cut, slowed and killed.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use crate::crash::count::few_at_once;
use crate::harness::proxy::{Line, Proxy};
use crate::harness::{Broker, ObjectStore, Postgres, Redis, Relay, Server};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    BrokerCut,
    BrokerFrozen,
    CacheKilled,
    CacheHangs,
    /// No connection stands, none can be made.
    DatabaseCut,
    /// The same, for longer than a worker may be silent.
    DatabaseCutLong,
    /// Commits arrive, their answers do not.
    DatabaseMute,
    DatabaseFrozen,
    /// It dies as in a crash, and recovers.
    DatabaseCrash,
    ObjectsGone,
    ObjectsFrozen,
    /// Every line is slow.
    AllSlow,
    /// `kill -9`.
    Api(usize),
    /// `kill -9`.
    Worker(usize),
}

impl Trouble {
    /// Whether nothing can be accepted meanwhile.
    pub fn stops_acceptance(self) -> bool {
        matches!(
            self,
            Self::DatabaseCut
                | Self::DatabaseCutLong
                | Self::DatabaseMute
                | Self::DatabaseFrozen
                | Self::DatabaseCrash
        )
    }

    /// How long it goes on at least.
    pub fn lasts(self) -> Duration {
        if self == Self::DatabaseCutLong { Duration::from_secs(17) } else { Duration::ZERO }
    }
}

/// The installation.
pub struct Stage {
    pub relay: Relay,
    pub apis: Vec<Server>,
    pub workers: Vec<Server>,
    // Behind the servers: dropped after them.
    to_broker: Proxy,
    to_cache: Proxy,
    to_database: Proxy,
    to_objects: Proxy,
    _broker: Broker,
    postgres: Postgres,
    redis: Redis,
    objects: ObjectStore,
}

impl Stage {
    /// `None`: there is no broker.
    pub fn start() -> Option<Self> {
        let (broker, relay) = (Broker::given()?, Relay::accepting());
        let (postgres, redis, objects) = (Postgres::start(), Redis::start(), ObjectStore::start());
        let to_broker = broker.line(Line::Open);
        let to_cache = Proxy::to(redis.address(), Line::Open);
        let to_database = Proxy::to(postgres.address(), Line::Open);
        let to_objects = Proxy::to(objects.address(), Line::Open);
        let options = broker
            .used_over(&to_broker, few_at_once(&relay))
            .on_parts_of_its_own()
            .env("REDIS_URL", format!("redis://{}/", to_cache.address()))
            .env("DATABASE_URL", Postgres::url_at(to_database.address()));
        let options = ObjectStore::used_at(to_objects.address(), options);
        let first = Server::start(options.clone().api_only());
        let second = Server::start_bare(options.clone().api_only());
        let workers = (0..2).map(|_| Server::start_bare(options.clone().worker_only())).collect();
        let apis = vec![first, second];
        Some(Self {
            relay,
            apis,
            workers,
            to_broker,
            to_cache,
            to_database,
            to_objects,
            _broker: broker,
            postgres,
            redis,
            objects,
        })
    }

    /// Where the API nodes listen.
    pub fn addresses(&self) -> Addresses {
        Addresses(Mutex::new(self.apis.iter().map(|api| Some(api.address())).collect()))
    }

    /// Lets it go wrong.
    pub fn strike(&mut self, trouble: Trouble, addresses: &Addresses) {
        match trouble {
            Trouble::BrokerCut => self.to_broker.set(Line::Cut),
            Trouble::BrokerFrozen => self.to_broker.set(Line::Frozen),
            Trouble::CacheKilled => self.redis.end(),
            Trouble::CacheHangs => self.redis.signal("STOP"),
            Trouble::DatabaseCut | Trouble::DatabaseCutLong => self.to_database.set(Line::Cut),
            Trouble::DatabaseMute => self.to_database.set(Line::Mute),
            Trouble::DatabaseFrozen => self.to_database.set(Line::Frozen),
            Trouble::DatabaseCrash => self.postgres.crash(),
            Trouble::ObjectsGone => self.objects.stop(),
            Trouble::ObjectsFrozen => self.to_objects.set(Line::Frozen),
            Trouble::AllSlow => self.lines().iter().for_each(|line| line.set(Line::Slow)),
            Trouble::Api(number) => {
                addresses.set(number, None);
                self.apis[number].kill9();
            }
            Trouble::Worker(number) => self.workers[number].kill9(),
        }
    }

    /// Mends it.
    #[track_caller]
    pub fn heal(&mut self, trouble: Trouble, addresses: &Addresses) {
        match trouble {
            Trouble::BrokerCut | Trouble::BrokerFrozen => mend(&self.to_broker),
            Trouble::CacheKilled => self.redis.begin(),
            Trouble::CacheHangs => self.redis.signal("CONT"),
            Trouble::DatabaseCut
            | Trouble::DatabaseCutLong
            | Trouble::DatabaseMute
            | Trouble::DatabaseFrozen => mend(&self.to_database),
            Trouble::DatabaseCrash => self.postgres.begin(),
            Trouble::ObjectsGone => self.objects.begin(),
            Trouble::ObjectsFrozen => mend(&self.to_objects),
            Trouble::AllSlow => self.lines().iter().for_each(|line| line.set(Line::Open)),
            Trouble::Api(number) => {
                let api = &mut self.apis[number];
                api.spawn();
                api.wait_ready();
                addresses.set(number, Some(api.address()));
            }
            Trouble::Worker(number) => {
                self.workers[number].spawn();
                self.workers[number].wait_ready();
            }
        }
    }

    fn lines(&self) -> [&Proxy; 4] {
        [&self.to_broker, &self.to_cache, &self.to_database, &self.to_objects]
    }
}

/// What was under way on the line is lost; new connections pass.
fn mend(line: &Proxy) {
    line.cut_once();
    line.set(Line::Open);
}

/// Where the API nodes listen now; of one that was killed, nowhere.
pub struct Addresses(Mutex<Vec<Option<SocketAddr>>>);

impl Addresses {
    fn set(&self, number: usize, address: Option<SocketAddr>) {
        self.0.lock().expect("no panic under it")[number] = address;
    }

    /// Where the sender with this number finds an API node: mostly at its own, at the other while that is gone.
    pub fn of(&self, sender: usize) -> Option<SocketAddr> {
        let all = self.0.lock().expect("no panic under it");
        all[sender % all.len()].or_else(|| all.iter().flatten().next().copied())
    }
}
