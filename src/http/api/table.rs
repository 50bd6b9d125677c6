//! The one table of routes. What is served and what the specification says are both made from it, so that neither
//! has what the other lacks.

use actix_web::http::{Method, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Responder, ResponseError, Route};

use super::super::error::ApiError;
use crate::http::api::openapi::Call;

/// Says what a call does, takes and answers. Run once, when the specification is first asked for.
pub(super) type Describe = fn(&mut Call<'_>);

/// Every path, in the order of the documentation.
#[derive(Default)]
pub(super) struct Table {
    pub(super) paths: Vec<Path>,
}

/// A path, and the calls that it takes.
pub(super) struct Path {
    pub(super) path: String,
    pub(super) calls: Vec<Operation>,
}

/// A method of a path.
pub(super) struct Operation {
    pub(super) method: Method,
    route: Route,
    pub(super) describe: Describe,
}

impl Table {
    /// A further path.
    pub(super) fn at(&mut self, path: impl Into<String>) -> &mut Path {
        self.paths.push(Path { path: path.into(), calls: Vec::new() });
        self.paths.last_mut().expect("one was pushed just now")
    }

    /// Serves it all. Paths without a parameter are tried before those that would take them for one. Further methods of a path are a 405 in the API's form.
    pub(super) fn serve(mut self, config: &mut ServiceConfig) {
        self.paths.sort_by_key(|path| path.path.matches('{').count());
        for Path { path, calls } in self.paths {
            let names: Vec<&str> = calls.iter().map(|call| call.method.as_str()).collect();
            let allowed = names.join(", ");
            let mut resource = web::resource(path);
            for call in calls {
                resource = resource.route(call.route);
            }
            config.service(resource.default_service(web::to(move |request: HttpRequest| {
                std::future::ready(wrong_method(&request, &allowed))
            })));
        }
    }
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
                    self.calls.push(Operation { method, route, describe });
                    self
                }
            )+
        }
    };
}
methods!(get = GET, post = POST, put = PUT, patch = PATCH, delete = DELETE);

/// For a path that exists with a method that it does not take.
fn wrong_method(request: &HttpRequest, allowed: &str) -> HttpResponse {
    let error = ApiError::new(
        actix_web::http::StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} takes no {}.", request.path(), request.method()),
    );
    let mut answer = error.error_response();
    if let Ok(allowed) = header::HeaderValue::from_str(allowed) {
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
    answer
}
