//! Listening: the HTTP server, and the jobs that run beside it.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::App as ActixApp;
use actix_web::dev::{AppConfig, Server as ActixServer, Service as _};
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use super::certificate_job::CertificateJob;
use super::edge::{connections_per_thread, default_headers, limit_stall, serve_head_as_get, strip_prefix};
use super::heartbeat_job::{self, Heartbeating};
use super::tls::{Presented, Stream, handshake};
use super::{Held, Prepared, Running, Server, StartError, TellingJob};
use crate::actions::telling::Style;
use crate::delivery::http::client::ClientError;
use crate::domain::target::OwnInbox;
use crate::http::refusals::Connection;
use crate::http::{api, inbox, request_id, security_txt, unknown_path, web};
use crate::store::BackupSocket;

/// New connections that the system queues.
const NEW_CONNECTIONS: i32 = 1_024;

/// Returns the listening socket that systemd handed over (sd_listen_fds(3)), if any. Call it before a thread starts: it
/// removes the variables of the environment that name the socket.
pub fn handed_socket() -> Result<Option<TcpListener>, StartError> {
    let mut handed = ListenFd::from_env();
    match handed.len() {
        0 => return Ok(None),
        1 => {}
        several => {
            return Err(StartError::Handed(format!(
                "systemd handed over {several} sockets, and Hookpost listens on one. Leave one ListenStream= in the socket unit."
            )));
        }
    }
    let wrong = |reason: String| {
        StartError::Handed(format!(
            "the socket that systemd handed over cannot be used: {reason}. It must be a TCP socket: ListenStream= with a port, and Accept=no."
        ))
    };
    let listener = handed.take_tcp_listener(0).map_err(|error| wrong(error.to_string()))?;
    let Some(listener) = listener else { return Ok(None) };
    match socket_acceptconn(&listener) {
        Ok(true) => Ok(Some(listener)),
        Ok(false) => Err(wrong("it does not listen".to_owned())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Listens on an address.
fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let refused = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(refused)?;
    // The standard library queues fewer new connections.
    rustix::net::listen(&listener, NEW_CONNECTIONS).map_err(|error| refused(error.into()))?;
    Ok(listener)
}

impl Prepared {
    /// Binds the address. Needs an actix runtime.
    pub fn listen(self) -> Result<Server, StartError> {
        let listener = bind(self.options.listen)?;
        self.serve_on(listener)
    }

    /// Serves on a socket that outlives the process, so new connections wait in it for the next one. Events are accepted
    /// until the end of a stop. Needs an actix runtime.
    pub fn listen_on(mut self, handed: TcpListener) -> Result<Server, StartError> {
        self.app.takes_events_to_the_end = true;
        self.serve_on(handed)
    }

    fn serve_on(self, listener: TcpListener) -> Result<Server, StartError> {
        let Prepared { options, app, retention_job, backup_job, pair, lock } = self;
        let presented = pair.as_ref().map(Presented::new);
        let acceptor = match presented.as_ref().map(Presented::acceptor).transpose() {
            Ok(acceptor) => acceptor,
            Err(error) => return Err(ClientError::Tls(error).into()),
        };
        let state = app.clone();
        let write_timeout = options.write_timeout;
        let refused = |source| StartError::Listen { address: options.listen, source };
        let address = listener.local_addr().map_err(refused)?;
        let head_timeout = options.head_timeout;
        let serve = move || {
            let app = ActixApp::new()
                .wrap(default_headers(state.site.base().is_https()))
                .wrap_fn({
                    let state = state.clone();
                    move |request, service| request_id::serve(&state, request, service)
                })
                .wrap_fn({
                    let state = state.clone();
                    move |mut request, service| {
                        strip_prefix(&mut request, state.site.base().prefix());
                        serve_head_as_get(&mut request);
                        state.site.remove_forged_user(&mut request);
                        service.call(request)
                    }
                })
                .app_data(Data::new(state.clone()))
                .configure(web::routes)
                .configure(inbox::routes)
                .configure(security_txt::routes)
                .configure(api::routes)
                .default_service(actix_web::web::to(unknown_path));
            let http = HttpService::build()
                .client_request_timeout(head_timeout)
                .client_disconnect_timeout(Duration::from_secs(1))
                // A client that closes its side has left: its handler is dropped, as by other servers.
                .h1_allow_half_closed(false)
                .keep_alive(Duration::from_secs(75))
                .local_addr(address)
                .on_connect_ext(|connection: &Connection<Stream>, data| connection.announce(data))
                .finish(map_config(app, |()| AppConfig::default()));
            let refusals = Rc::new(state.refusals());
            let connections = state.connections.clone();
            let acceptor = acceptor.clone();
            let connect = move |stream: TcpStream| {
                limit_stall(&stream, write_timeout);
                let peer = stream.peer_addr().ok();
                let (refusals, open, acceptor) = (Rc::clone(&refusals), connections.enter(), acceptor.clone());
                async move {
                    let stream = match acceptor {
                        Some(acceptor) => handshake(acceptor, stream, head_timeout, &refusals).await?,
                        None => Stream::Plain(stream),
                    };
                    Ok::<_, DispatchError>((Connection::new(stream, refusals, open), Protocol::Http1, peer))
                }
            };
            fn_service(connect).and_then(http)
        };
        // The builder of actix-web has no place for connections of our own.
        let http = ActixServer::build()
            .workers(options.http_threads)
            .max_concurrent_connections(connections_per_thread(options.http_threads))
            // More than tests and jobs can hold, because a test to the built-in inbox needs a thread to arrive.
            .worker_max_blocking_threads(32)
            .shutdown_timeout(5)
            .disable_signals()
            .listen("http", listener, serve)
            .map_err(refused)?;
        app.site.listens_on(address, pair.is_some());
        match OwnInbox::below(&app.site.base().to_string()) {
            Ok(inbox) => app.actions.guard.open_inbox(inbox),
            Err(error) => log::warn!("webhooks cannot target the built-in inbox: {error}"),
        }
        // Deliveries that are due may go to the inbox: by now its connections are accepted.
        app.actions.engine.start()?;
        let http = http.run();
        let backups = BackupSocket::listen(&app.actions.store);
        if let Err(error) = &backups {
            log::warn!("\"hookpost backup\" copies from a long snapshot, without help of this server: {error}");
        }
        let site = Arc::clone(&app.site);
        let style = Style { link: Box::new(move |path| site.url(path)), live: app.actions.live.clone() };
        let telling = TellingJob::start(app.actions.clone(), style)?;
        let heartbeating = Arc::new(Mutex::new(Heartbeating::start(app.actions.clone(), &options)?));
        let watchdog = heartbeat_job::to_watchdog(app.actions.clone())?;
        let certificate = match (options.tls, pair, presented) {
            (Some(files), Some(pair), Some(presented)) => {
                let (clock, metrics) = (options.clock.clone(), app.metrics.clone());
                CertificateJob::start(files, &pair, presented, clock, metrics)?
            }
            _ => CertificateJob::none(),
        };
        let held = Arc::new(Mutex::new(Some(Held { _backups: backups.ok(), _lock: lock })));
        let handle = http.handle();
        let running = Running {
            address,
            app,
            retention_job,
            backup_job,
            telling,
            certificate,
            heartbeating,
            watchdog,
            handle,
            held,
        };
        Ok(Server { http, running })
    }
}
