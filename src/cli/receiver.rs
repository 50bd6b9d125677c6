//! HTTP server of the receivers that `demo` starts.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::{self, Data};
use actix_web::{App, FromRequest, Handler, HttpResponse, HttpResponseBuilder, HttpServer, Responder};

/// Response of a receiver, without its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reply {
    pub status: u16,
    /// Delay before the response.
    pub after: Duration,
    /// Value of the header `Retry-After`.
    pub retry_after_s: Option<u32>,
}

/// Serves every path with `handler`, on one thread with its own runtime. Bodies may have up to 16 MiB.
pub(super) fn run<S, H, A>(listener: TcpListener, state: S, handler: H) -> io::Result<()>
where
    S: Send + Sync + 'static,
    H: Handler<A, Output: Responder> + Send,
    A: FromRequest + 'static,
{
    let state = Data::new(state);
    actix_web::rt::System::new().block_on(async {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .app_data(web::PayloadConfig::new(16 << 20))
                .default_service(web::to(handler.clone()))
        })
        .workers(1)
        .shutdown_timeout(1)
        .disable_signals();
        server.listen(listener)?.run().await
    })
}

impl Reply {
    /// Waits, then returns the response to complete.
    pub(super) async fn respond(self) -> HttpResponseBuilder {
        tokio::time::sleep(self.after).await;
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        response
    }
}
