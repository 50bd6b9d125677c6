//! HTTP: the JSON API (`api`) and the pages (`web`) over the same actions. The two never import each other; this
//! module has the parts that both need. A handler parses the request, runs an action or a query, and shows the result.

pub mod api;
pub mod backup;
pub mod connections;
mod delivery_filter;
pub mod error;
pub mod etag;
mod export;
pub mod extract;
pub mod hosts;
mod idempotent;
pub mod inbox;
mod json_error;
pub mod key_last_used;
pub mod places;
pub mod rate_limit;
pub mod reads;
pub mod refusals;
pub mod request_id;
pub mod security_txt;
pub mod shares;
pub mod site;
mod stream;
pub mod tenant_use;
pub mod waits;
pub mod web;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::header::ACCEPT;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::actions::Actions;
use crate::actions::publish::CheckTime;
use crate::auth::pending::PendingSignIns;
use crate::auth::throttle::Throttle;
use crate::domain::event::Tenant;
use crate::domain::live::LiveSettings;
use crate::domain::needle::Needle;
use crate::http::key_last_used::KeyLastUsed;
use crate::metrics::Metrics;
use crate::store::search::TextSearch;
use connections::Connections;
use error::ApiError;
use hosts::Hosts;
use places::Places;
use rate_limit::{Buckets, RateLimits};
use reads::Reads;
use refusals::Refusals;
use request_id::RequestId;
use shares::{Held, Shares};
use site::Site;
use waits::Waits;
use web::shown_once::ShownOnce;

/// State shared by all handlers. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub actions: Actions,
    pub limits: BodyLimits,
    /// Places for calls that wait for a receiver.
    pub receiver_calls: Places,
    /// Places for bulk actions and replays.
    pub jobs: Places,
    /// Memory for other bodies of requests of tenants, one permit per byte.
    pub bodies: Shares<Tenant>,
    pub reads: Reads,
    /// Places for requests that wait for events.
    pub waits: Waits,
    /// Memory for bodies of batches, one permit per MiB, by tenant.
    pub batches: Shares<Tenant>,
    /// Permits for checks against schemas: each holds a thread, and memory for its errors.
    pub checks: Arc<Semaphore>,
    /// Permits for applying filters to much data: each holds a thread, and memory for the data. By tenant, since tenants
    /// write their filters themselves.
    pub filterings: Shares<Tenant>,
    pub key_last_used: KeyLastUsed,
    pub inbox_rates: Buckets<i64>,
    /// Memory for bodies of requests to inboxes, one permit per byte, by inbox.
    pub inbox_bodies: Shares<i64>,
    /// Permits for sign-ins: each holds a thread while it hashes.
    pub sign_ins: Arc<Semaphore>,
    pub throttle: Throttle,
    pub pending_sign_ins: PendingSignIns,
    /// Pages with new secrets.
    pub shown_once: ShownOnce,
    pub site: Arc<Site>,
    pub hosts: Hosts,
    pub rate_limits: RateLimits,
    pub metrics: Metrics,
    /// Time without progress after which the client of a response is given up.
    pub write_timeout: Duration,
    /// Time that one search by text may take.
    pub search_time: Duration,
    pub connections: Connections,
    /// Whether events are accepted while the server stops: new connections wait for its successor, so it refuses none.
    pub takes_events_to_the_end: bool,
    stopping: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
}

/// Responds to an unknown path: with a redirect if only its last slash is wrong, with a page if the client accepts HTML,
/// else with the API's error.
pub async fn unknown_path(request: HttpRequest) -> HttpResponse {
    let path = request.path();
    let accepts = request.headers().get(ACCEPT);
    let wants_page = accepts.and_then(|value| value.to_str().ok()).is_some_and(|text| text.contains("text/html"));
    let is_api = ["/v1", "/api"]
        .iter()
        .any(|base| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    let without_slash = path.trim_end_matches('/');
    if without_slash != path && !without_slash.starts_with("//") && request.resource_map().has_resource(without_slash) {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        return ApiError::moved(&format!("{without_slash}{query}")).error_response();
    }
    if wants_page && !is_api {
        return web::unknown_page(&request);
    }
    ApiError::not_found(format!("No resource exists at {path}. The API is under /v1.")).error_response()
}

/// Permit to check an event, until dropped.
pub enum CheckPermit {
    Schema(OwnedSemaphorePermit),
    Filters(Held),
    NotNeeded,
}

/// Counts a request as in progress until dropped.
pub struct InProgress(Arc<AtomicUsize>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Bytes of bodies of requests of tenants, other than batches, in memory at a time.
const BODY_BYTES: usize = 64 << 20;
/// Bytes of such bodies of one tenant; one of the largest size fits.
const BODY_BYTES_OF_ONE: usize = 16 << 20;

/// MiB of batches in memory at a time.
pub const BATCHES_MIB: usize = 32;
/// MiB of one tenant's batches in memory at a time; one batch of the largest size fits.
pub const BATCHES_MIB_OF_ONE: usize = 16;

/// Longest wait for a permit to check an event.
const CHECK_WAIT: Duration = Duration::from_secs(10);

/// Default of [`App::write_timeout`].
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Time within which the head of the first request of a connection has to arrive.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Default of [`App::search_time`].
pub const SEARCH_TIME: Duration = Duration::from_millis(300);

/// Largest bodies of requests, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    pub single: usize,
    /// Limit of a whole batch; `single` applies to each event in it.
    pub batch: usize,
}

impl App {
    pub fn new(actions: Actions, limits: BodyLimits, site: Site, metrics: Metrics) -> App {
        let (live, tenant_limits) = (actions.live.clone(), actions.limits());
        App {
            actions,
            limits,
            receiver_calls: Places::for_receiver_calls(&tenant_limits),
            jobs: Places::for_jobs(&tenant_limits),
            bodies: Shares::new(BODY_BYTES, BODY_BYTES_OF_ONE),
            reads: Reads::default(),
            waits: Waits::default(),
            batches: Shares::new(BATCHES_MIB, BATCHES_MIB_OF_ONE),
            checks: Arc::new(Semaphore::new(2)),
            filterings: Shares::new(4, 2),
            key_last_used: KeyLastUsed::default(),
            inbox_rates: Buckets::default(),
            inbox_bodies: Shares::new(inbox::MOST_BYTES, inbox::MOST_BYTES_OF_ONE),
            sign_ins: Arc::new(Semaphore::new(16)),
            throttle: Throttle::default(),
            pending_sign_ins: PendingSignIns::default(),
            shown_once: ShownOnce::default(),
            site: Arc::new(site),
            hosts: Hosts::default(),
            rate_limits: RateLimits::new(live),
            metrics,
            write_timeout: WRITE_TIMEOUT,
            search_time: SEARCH_TIME,
            connections: Connections::default(),
            takes_events_to_the_end: false,
            stopping: Arc::new(AtomicBool::new(false)),
            requests: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Returns the settings that can change.
    pub fn live(&self) -> Arc<LiveSettings> {
        self.actions.live.get()
    }

    pub fn refusals(&self) -> Refusals {
        Refusals { prefix: Arc::clone(self.site.base().prefix()), metrics: self.metrics.clone() }
    }

    /// Counts a request until the returned value is dropped.
    pub fn begin_request(&self) -> InProgress {
        self.requests.fetch_add(1, Ordering::SeqCst);
        InProgress(Arc::clone(&self.requests))
    }

    /// Number of requests in progress.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Waits for a permit to check an event of a tenant. Beyond a short wait, the error asks the client to retry.
    pub async fn check_permit(&self, time: CheckTime, tenant: &Tenant) -> Result<CheckPermit, ApiError> {
        let share = self.filterings.of(tenant);
        let permit = async {
            Ok(match time {
                CheckTime::Schema => CheckPermit::Schema(self.checks.clone().acquire_owned().await?),
                CheckTime::Long => CheckPermit::Filters(share.permits(1).await?),
                CheckTime::None | CheckTime::Brief => CheckPermit::NotNeeded,
            })
        };
        match timeout(CHECK_WAIT, permit).await {
            Ok(permit) => permit.map_err(|_: AcquireError| ApiError::stopping()),
            Err(_) => Err(ApiError::unavailable(
                "overloaded",
                "Too many events are being checked against schemas and filters. Nothing was stored. Retry in a moment.",
            )),
        }
    }

    /// Begins a search by text, on the thread that searches.
    fn search(&self, needle: Needle) -> TextSearch {
        TextSearch { needle, timer: self.actions.clock.timer(self.search_time) }
    }

    /// Like [`App::search`], for names: a third of the time.
    fn search_names(&self, needle: Needle) -> TextSearch {
        TextSearch { needle, timer: self.actions.clock.timer(self.search_time / 3) }
    }

    /// Refuses new events from now on, unless they are accepted to the end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.actions.store.wake_waiting();
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Whether events are accepted and delivered.
    pub fn is_ready(&self) -> bool {
        !self.is_stopping() && self.actions.store.broken().is_none() && self.actions.is_delivering()
    }

    /// Whether new events are refused.
    pub fn refuses_events(&self) -> bool {
        self.is_stopping() && !self.takes_events_to_the_end
    }
}

/// Runs blocking work (a query, a name lookup, a request to a receiver) off the threads that serve requests, under
/// the id of the current request.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let id = RequestId::current();
    actix_web::web::block(move || id.scope(work)).await.map_err(|_| ApiError::stopping())
}
