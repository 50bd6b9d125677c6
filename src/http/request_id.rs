//! The id of a request: in its answer (`X-Request-Id`), in every line of the log about it, and in the answer to an
//! internal error. It is the caller's own where it is well-formed, so that it can be followed through several
//! programs.

use std::fmt;
use std::sync::Arc;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::App;
use crate::random;

/// The header, in requests and answers.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a caller's own id at most.
const MAX_LENGTH: usize = 64;

tokio::task_local! {
    static CURRENT: RequestId;
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
    /// The caller's own, or else a new one of 64 random bits.
    fn of(headers: &HeaderMap) -> RequestId {
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

    /// That of the request at hand; a new one where there is none.
    pub fn current() -> RequestId {
        CURRENT.try_with(Clone::clone).unwrap_or_else(|_| RequestId::random())
    }

    /// Does something on behalf of the request on another thread.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }

    fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

/// Serves a request under its id, and counts it among those in progress.
pub fn accompany<S, B>(
    app: &App,
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<B>, S::Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>>,
{
    let id = RequestId::of(request.headers());
    let in_progress = app.begin_request();
    let what = log::log_enabled!(log::Level::Debug).then(|| format!("{} {}", request.method(), request.path()));
    let answer = id.clone().during(|| service.call(request));
    let metrics = app.metrics.clone();
    CURRENT.scope(id.clone(), async move {
        let mut answer = answer.await;
        if let Ok(answer) = &mut answer {
            metrics.answered(answer.status().as_u16());
            if let Some(value) = id.header() {
                answer.headers_mut().insert(X_REQUEST_ID, value);
            }
            if let Some(what) = what {
                log::debug!("request {id}: {what} was answered {}", answer.status());
            }
        }
        drop(in_progress);
        answer
    })
}
