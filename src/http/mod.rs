//! HTTP: requests in, answers out. Handlers read as a sentence: parse, act, show. `api` and `web` are two faces of
//! the same actions and do not know each other.

pub mod api;
pub mod backup;
pub mod error;
pub mod export;
pub mod extract;
pub mod inbox;
pub mod key_last_used;
pub mod rate_limit;
pub mod request_id;
pub mod site;
pub mod web;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix_web::http::header::ACCEPT;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::actions::Actions;
use crate::auth::throttle::Throttle;
use crate::http::key_last_used::KeyLastUsed;
use crate::metrics::Metrics;
use error::ApiError;
use rate_limit::RateLimits;
use request_id::RequestId;
use site::Site;

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub actions: Actions,
    pub limits: BodyLimits,
    /// Test calls under way: each holds a thread while its receiver thinks.
    pub tests: Arc<Semaphore>,
    /// Room for the bodies of batches, a permit a MiB: however many come at once, memory stays bounded.
    pub batches: Arc<Semaphore>,
    /// Actions in steps under way: each holds a thread until it is done.
    pub bulk: Arc<Semaphore>,
    pub key_last_used: KeyLastUsed,
    /// How fast each inbox is filled.
    pub inbox_pace: inbox::Pace,
    /// Sign-ins under way.
    pub sign_ins: Arc<Semaphore>,
    /// Failed sign-ins.
    pub throttle: Throttle,
    pub site: Arc<Site>,
    pub rate_limits: RateLimits,
    pub metrics: Metrics,
    /// Whether `/metrics` needs no key.
    pub metrics_open: bool,
    stopping: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
}

/// For a path at which there is nothing: a page for who asks for one, else the API's error.
pub async fn unknown_path(request: HttpRequest) -> HttpResponse {
    let path = request.path();
    let accepts = request.headers().get(ACCEPT);
    let wants_page = accepts.and_then(|value| value.to_str().ok()).is_some_and(|text| text.contains("text/html"));
    let is_api = ["/v1", "/api"]
        .iter()
        .any(|base| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if wants_page && !is_api {
        return web::unknown_page(&request);
    }
    ApiError::not_found(format!("There is nothing at {path}. The API is under /v1.")).error_response()
}

/// A request that is being served, for as long as this lives.
pub struct InProgress(Arc<AtomicUsize>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// MiB of batches that are worked on at a time; one of the largest size fits.
pub const BATCHES_MIB: u32 = 32;

/// Bytes of a request's body at most.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    pub single: usize,
    /// Of a whole batch; each event in it is held to `single`.
    pub batch: usize,
}

impl App {
    pub fn new(actions: Actions, limits: BodyLimits, site: Site, metrics: Metrics) -> App {
        App {
            actions,
            limits,
            tests: Arc::new(Semaphore::new(16)),
            batches: Arc::new(Semaphore::new(BATCHES_MIB as usize)),
            bulk: Arc::new(Semaphore::new(2)),
            key_last_used: KeyLastUsed::default(),
            inbox_pace: inbox::Pace::default(),
            sign_ins: Arc::new(Semaphore::new(16)),
            throttle: Throttle::default(),
            site: Arc::new(site),
            rate_limits: RateLimits::default(),
            metrics,
            metrics_open: false,
            stopping: Arc::new(AtomicBool::new(false)),
            requests: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Counts a request for as long as the answer to this lives.
    pub fn begin_request(&self) -> InProgress {
        self.requests.fetch_add(1, Ordering::SeqCst);
        InProgress(Arc::clone(&self.requests))
    }

    /// Requests that are being served.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Leave to run an action in steps, once there is room. It is held until the action is done.
    pub async fn bulk_permit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let permit = self.bulk.clone().acquire_owned().await;
        permit.map_err(|_| ApiError::stopping())
    }

    /// Waits for a permit to call a receiver while a client waits: tests and challenges.
    pub async fn test_permit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let permit = self.tests.clone().acquire_owned().await;
        permit.map_err(|_| ApiError::stopping())
    }

    /// From here on no event is taken in.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

/// Runs blocking work (a query, a name lookup, a request to a receiver) off the threads that serve requests, under
/// the id of the current request.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let id = RequestId::current();
    actix_web::web::block(move || id.during(work)).await.map_err(|_| ApiError::stopping())
}
