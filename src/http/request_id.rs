//! Request ids: in the response (`X-Request-Id`), in the log, and in the message of an internal error. A well-formed id
//! of the caller is used as is, so a request can be traced through several programs.

use std::fmt;
use std::sync::Arc;

use actix_web::ResponseError as _;
use actix_web::body::EitherBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::task::JoinHandle;

use super::refusals::{CountedBody, Responses};
use super::{App, rate_limit};
use crate::random;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_LENGTH: usize = 64;

tokio::task_local! {
    static CURRENT: RequestId;
    static PATH_PREFIX: Arc<str>;
}

/// 1 to 64 of `A-Z a-z 0-9 _ -`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl RequestId {
    /// Returns the caller's id if it is well-formed, else a new one of 64 random bits.
    fn from_headers(headers: &HeaderMap) -> RequestId {
        let own = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
        let is_well_formed = |id: &&str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            (1..=MAX_LENGTH).contains(&id.len()) && id.bytes().all(is_allowed)
        };
        own.filter(is_well_formed).map_or_else(RequestId::random, |id| RequestId(id.into()))
    }

    fn random() -> RequestId {
        RequestId(hex::encode(random::bytes::<8>()).into())
    }

    /// Returns the id of the current request, or a new one outside of requests.
    pub fn current() -> RequestId {
        CURRENT.try_with(Clone::clone).unwrap_or_else(|_| RequestId::random())
    }

    /// Returns the id of the current request, if there is one.
    pub fn in_progress() -> Option<RequestId> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs work of the request on the current thread.
    pub fn scope<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }
}

/// Returns the path of the base URL, without a slash at its end; empty outside of requests.
pub fn path_prefix() -> Arc<str> {
    PATH_PREFIX.try_with(Arc::clone).unwrap_or_default()
}

/// Runs work of the current request that goes on if its client leaves.
pub(super) fn spawn<F: Future<Output: 'static> + 'static>(work: F) -> JoinHandle<F::Output> {
    let (id, prefix) = (RequestId::current(), path_prefix());
    actix_web::rt::spawn(PATH_PREFIX.scope(prefix, CURRENT.scope(id, work)))
}

/// Runs work outside of requests as if it were one, with a new id and the path of the base URL.
pub(super) fn outside<T>(prefix: Arc<str>, work: impl FnOnce(&RequestId) -> T) -> T {
    let id = RequestId::random();
    PATH_PREFIX.sync_scope(prefix, || id.clone().scope(|| work(&id)))
}

/// Returns a path as the log shows it. Whoever knows the path of an inbox can send to it.
fn logged(path: &str) -> &str {
    if path.starts_with("/in/") { "/in/…" } else { path }
}

/// Serves a request under its id, unless it is for another host, and counts it as in progress.
pub fn serve<S, B>(
    app: &App,
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<CountedBody<EitherBody<B>>>, S::Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>>,
{
    let id = RequestId::from_headers(request.headers());
    let in_progress = app.begin_request();
    let unfinished = request.conn_data::<Responses>().map(Responses::begin);
    let line = log::log_enabled!(log::Level::Debug).then(|| format!("{} {}", request.method(), logged(request.path())));
    // Before anything else: a request under another name must not reach what it names.
    let response = match app.hosts.check(request.request()) {
        Ok(()) => Ok(id.clone().scope(|| service.call(request))),
        Err(error) => {
            let refused = id.clone().scope(|| error.error_response());
            Err(request.into_response(refused).map_into_right_body::<B>())
        }
    };
    let metrics = app.metrics.clone();
    let stopping = app.clone();
    let prefix = Arc::clone(app.site.base().prefix());
    PATH_PREFIX.scope(
        prefix,
        CURRENT.scope(id.clone(), async move {
            let mut response = match response {
                Ok(response) => response.await.map(ServiceResponse::map_into_left_body),
                Err(refused) => Ok(refused),
            };
            if let Ok(response) = &mut response {
                metrics.answered(response.status().as_u16());
                rate_limit::add_headers(response);
                if stopping.is_stopping() {
                    // The client sends its next request on another connection.
                    response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
                }
                if let Ok(value) = HeaderValue::from_str(&id.0) {
                    response.headers_mut().insert(X_REQUEST_ID, value);
                }
                if let Some(line) = line {
                    log::debug!(request_id:% = id; "{line} returned {}", response.status().as_u16());
                }
            }
            drop(in_progress);
            response.map(|response| response.map_body(|_, body| CountedBody { body, unfinished }))
        }),
    )
}
