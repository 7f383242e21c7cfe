//! A lane per transport: its waiting mail, its circuit and its limits. A slow or broken transport fills its own lane
//! and holds up no other.

use super::backlog::Backlog;
use super::breaker::{Breaker, BreakerSettings, Phase};
use super::held::HeldClaim;
use super::settings::{DispatchSettings, Way};
use super::shared_rates::SharedRates;
use super::throttle::Throttle;
use crate::routing::{RouteDecision, RouteReason};
use crate::transports::Transport;
use posthaste_model::Rate;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Memory for the large messages that are on their way by one lane at once; a larger one goes alone.
const LARGE_MIB: u32 = 64;

/// Mail that would wait longer than this for a place under the transport's rate goes back to the store.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is said that mail goes by a second choice.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// A claim on its way to a transport.
#[derive(Debug)]
pub(super) struct Job {
    pub held: HeldClaim,
    pub route: RouteDecision,
    /// The first choice, when its circuit is open and this way was taken instead.
    pub instead_of: Option<Arc<str>>,
}

/// One transport with what stands before it.
#[derive(Debug)]
pub(super) struct Lane {
    pub transport: Transport,
    pub breaker: Breaker,
    pub throttle: Throttle,
    pub backlog: Backlog<Job>,
    pub max_in_flight: usize,
    /// A permit for each MiB of [`LARGE_MIB`] that is free.
    pub large: Arc<Semaphore>,
    stands_in: LastSaid,
}

/// When it was last said that this lane takes another's mail: now and then is loud enough.
#[derive(Debug, Default)]
struct LastSaid(Mutex<Option<Instant>>);

/// All lanes, and what goes by each rule of the routes.
#[derive(Debug)]
pub(super) struct Lanes {
    each: Vec<Arc<Lane>>,
    by_rule: Vec<Throttle>,
    /// The same limits over all nodes.
    shared: Option<SharedRates>,
}

/// Where an email can go now.
#[derive(Debug)]
pub(super) enum Opening {
    /// This lane; the second is the first choice when that one is shut.
    Lane(Arc<Lane>, Option<Arc<str>>),
    /// Every transport of its route is shut; how long at least.
    Shut(Duration),
    /// No transport has such a name.
    Unknown,
}

impl Lane {
    fn new(way: Way, breaker: BreakerSettings, waiting_max: usize, in_flight_max: usize) -> Self {
        Self {
            throttle: Throttle::new(way.limits()),
            transport: way.transport,
            breaker: Breaker::new(breaker),
            backlog: Backlog::new(waiting_max),
            max_in_flight: way.max_in_flight.clamp(1, in_flight_max),
            large: Arc::new(Semaphore::new(LARGE_MIB as usize)),
            stands_in: LastSaid::default(),
        }
    }

    /// The transport's name.
    pub fn name(&self) -> &Arc<str> {
        self.transport.name()
    }

    /// How much of the memory for large messages a message of so many bytes needs, in MiB; none when it is small.
    pub fn room_for(message_bytes: u64) -> u32 {
        let mib = u32::try_from(message_bytes >> 20).unwrap_or(u32::MAX);
        mib.min(LARGE_MIB)
    }

    /// How long the circuit keeps mail out; `None`: it may pass, or be the probe.
    pub fn shut_for(&self, now: Instant) -> Option<Duration> {
        match self.breaker.phase(now) {
            Phase::Closed => None,
            Phase::Open { remaining } => Some(remaining).filter(|remaining| !remaining.is_zero()),
            Phase::HalfOpen => Some(Duration::from_secs(1)),
        }
    }

    /// Whether it is time to say again that this lane takes another's mail.
    pub fn is_silent_stand_in(&self, now: Instant) -> bool {
        let mut last = self.stands_in.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= SAID_EVERY);
        if is_due {
            *last = Some(now);
        }
        is_due
    }

    /// Whether more mail for it would only wait.
    fn is_stuck(&self, now: Instant) -> bool {
        !matches!(self.breaker.phase(now), Phase::Closed)
            || self.backlog.is_full()
            || self.throttle.wait(now) > PATIENCE
    }
}

impl Lanes {
    /// A lane for each of `ways`. The one way out of the machine, where there is but one, may fill nearly all of
    /// `held_max`: more than what is taken in before room is asked for again, so that nothing is moved about. Several
    /// share it. Of the emails on their way at once each leaves at least one to every other, so that one that hangs
    /// does not stop them.
    pub fn new(
        ways: Vec<Way>,
        rule_limits: Vec<Vec<Rate>>,
        shared: Option<SharedRates>,
        settings: &DispatchSettings,
    ) -> Self {
        let held_max = settings.held_max;
        let in_flight_max = settings.workers.saturating_sub(ways.len().saturating_sub(1)).max(1);
        let outward = ways.iter().filter(|way| way.transport.is_outward()).count();
        let waiting_max = if outward > 1 { held_max / outward } else { held_max - held_max / 16 };
        let lane = |way| Arc::new(Lane::new(way, settings.breaker, waiting_max, in_flight_max));
        let by_rule = rule_limits.into_iter().map(Throttle::new).collect();
        Self { each: ways.into_iter().map(lane).collect(), by_rule, shared }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.each.iter()
    }

    /// Takes a place under the limits of the rule that led to `lane`, and under those of the transport; or says how long
    /// until there may be one, and what is used up.
    pub async fn admit(
        &self,
        lane: &Lane,
        route: &RouteDecision,
        now: Instant,
    ) -> Result<(), (Duration, String)> {
        let rule = self.rule(route);
        let of_rule = |number: usize| format!("the rate of route {number} is reached");
        let of_transport = || format!("the rate of transport {} is reached", lane.name());
        if let Some((number, throttle)) = rule {
            throttle.admit(now).map_err(|wait| (wait, of_rule(number)))?;
        }
        lane.throttle.admit(now).map_err(|wait| {
            if let Some((_, throttle)) = rule {
                throttle.give_back(now);
            }
            (wait, of_transport())
        })?;
        let Some(shared) = &self.shared else { return Ok(()) };
        let number = rule.map(|(number, _)| number);
        shared.admit(lane.name(), number).await.map_err(|full| {
            self.give_back_here(lane, route, now);
            let reason = number.filter(|_| full.of_rule).map_or_else(of_transport, of_rule);
            (full.wait, reason)
        })
    }

    /// Gives back a place that was not used.
    pub async fn give_back(&self, lane: &Lane, route: &RouteDecision, now: Instant) {
        self.give_back_here(lane, route, now);
        if let Some(shared) = &self.shared {
            shared.give_back(lane.name(), self.rule(route).map(|(number, _)| number)).await;
        }
    }

    fn give_back_here(&self, lane: &Lane, route: &RouteDecision, now: Instant) {
        lane.throttle.give_back(now);
        if let Some((_, throttle)) = self.rule(route) {
            throttle.give_back(now);
        }
    }

    fn rule(&self, route: &RouteDecision) -> Option<(usize, &Throttle)> {
        let RouteReason::Rule(number) = route.reason else { return None };
        self.by_rule.get(number.checked_sub(1)?).map(|throttle| (number, throttle))
    }

    /// The first transport of `route` whose circuit lets mail through.
    pub fn opening(&self, route: &RouteDecision, now: Instant) -> Opening {
        let mut shut: Option<Duration> = None;
        for name in route.transports.iter() {
            let Some(lane) = self.each.iter().find(|lane| lane.name() == name) else { continue };
            match lane.shut_for(now) {
                None => {
                    let instead_of = shut.and_then(|_| route.transports.first().map(Arc::clone));
                    return Opening::Lane(Arc::clone(lane), instead_of);
                }
                Some(wait) => shut = Some(shut.map_or(wait, |least| least.min(wait))),
            }
        }
        shut.map_or(Opening::Unknown, Opening::Shut)
    }

    /// Whether claiming more would only move mail about: no way out of the machine takes any now.
    pub fn are_stuck(&self, now: Instant) -> bool {
        let mut outward = self.each.iter().filter(|lane| lane.transport.is_outward()).peekable();
        if outward.peek().is_some() {
            outward.all(|lane| lane.is_stuck(now))
        } else {
            self.each.iter().all(|lane| lane.is_stuck(now))
        }
    }
}
