//! Table of routes. The server and the specification are both built from it, so neither lacks a call of the other.

use actix_web::http::{Method, header};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Responder, ResponseError, Route};

use super::super::error::ApiError;
use crate::http::api::openapi::Call;
use crate::http::idempotent;

/// Describes a call for the specification.
pub(super) type Describe = fn(&mut Call<'_>);

/// All paths, in the order of the documentation.
#[derive(Default)]
pub(super) struct Table {
    pub(super) paths: Vec<Path>,
}

/// A path and its calls.
pub(super) struct Path {
    pub(super) path: String,
    pub(super) calls: Vec<Operation>,
}

/// One method of a path.
pub(super) struct Operation {
    pub(super) method: Method,
    route: Route,
    pub(super) describe: Describe,
    /// Whether its answer is kept and repeated, by `Idempotency-Key`.
    pub(super) keeps_answer: bool,
}

impl Table {
    /// Adds a path.
    pub(super) fn at(&mut self, path: impl Into<String>) -> &mut Path {
        self.paths.push(Path { path: path.into(), calls: Vec::new() });
        self.paths.last_mut().expect("one was pushed just now")
    }

    /// Registers all routes, those without parameters first. Other methods of a path are a 405 in the API's form.
    pub(super) fn serve(mut self, config: &mut ServiceConfig) {
        self.paths.sort_by_key(|path| path.path.matches('{').count());
        for Path { path, calls } in self.paths {
            let mut names: Vec<&str> = calls.iter().map(|call| call.method.as_str()).collect();
            if names.contains(&"GET") {
                names.push("HEAD");
            }
            let allowed = names.join(", ");
            let mut resource = web::resource(with_alias(path));
            for call in calls {
                resource = resource.route(call.route);
            }
            config.service(resource.default_service(web::to(move |request: HttpRequest| {
                std::future::ready(wrong_method(&request, &allowed))
            })));
        }
    }
}

/// The reference documents address webhooks under `/api` as well as under `/v1`.
fn with_alias(path: String) -> Vec<String> {
    let alias = path.strip_prefix("/v1/webhooks").map(|rest| format!("/api/webhooks{rest}"));
    [path].into_iter().chain(alias).collect()
}

macro_rules! methods {
    ($($name:ident = $method:ident),+) => {
        impl Path {
            $(
                pub(super) fn $name<F, Args>(&mut self, handler: F, describe: Describe) -> &mut Path
                where
                    F: Handler<Args>,
                    Args: FromRequest + 'static,
                    F::Output: Responder + 'static,
                {
                    let route = web::$name().to(handler);
                    let method = Method::$method;
                    self.calls.push(Operation { method, route, describe, keeps_answer: false });
                    self
                }
            )+
        }
    };
}
methods!(get = GET, put = PUT, patch = PATCH, delete = DELETE);

impl Path {
    /// Adds a call that changes something. With an `Idempotency-Key` its answer is kept, and repeated.
    pub(super) fn post<F, Args>(&mut self, handler: F, describe: Describe) -> &mut Path
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let route = web::post().to(handler).wrap(from_fn(idempotent::serve));
        self.calls.push(Operation { method: Method::POST, route, describe, keeps_answer: true });
        self
    }

    /// Adds a call that changes nothing, or that knows by itself whether it was made before.
    pub(super) fn plain_post<F, Args>(&mut self, handler: F, describe: Describe) -> &mut Path
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let route = web::post().to(handler);
        self.calls.push(Operation { method: Method::POST, route, describe, keeps_answer: false });
        self
    }
}

/// Returns the 405 of a path.
fn wrong_method(request: &HttpRequest, allowed: &str) -> HttpResponse {
    let error = ApiError::new(
        actix_web::http::StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} does not support {}.", request.path(), request.method()),
    );
    let mut response = error.error_response();
    if let Ok(allowed) = header::HeaderValue::from_str(allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}
