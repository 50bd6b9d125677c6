//! Connections, and requests and responses outside of all handlers.

use std::time::Duration;

use actix_web::dev::ServiceRequest;
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{Method, Uri, header};
use actix_web::middleware::DefaultHeaders;
use actix_web::rt::net::TcpStream;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors that the server asks the system for.
const MOST_FILES: u64 = 65_536;

/// Returns how many connections of clients each HTTP thread accepts: together they take at most half of the file
/// descriptors, so idle ones stop neither deliveries nor the store. Further clients wait. Raises the limit of file
/// descriptors as far as the system permits.
pub fn connections_per_thread(threads: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // More makes the kernel's tables larger, and has no use.
    let wanted = limit.maximum.map_or(MOST_FILES, |maximum| maximum.min(MOST_FILES));
    let mut files = limit.current.unwrap_or(wanted);
    if files < wanted {
        match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }) {
            Ok(()) => files = wanted,
            Err(error) => {
                log::warn!("the limit of open files stays at {files}, so fewer clients are served at a time: {error}")
            }
        }
    }
    let connections = usize::try_from(files / 2).unwrap_or(usize::MAX) / threads;
    connections.clamp(8, 25_000)
}

/// Limits how long a client may acknowledge or take no byte of a response. The HTTP server waits for it without a limit,
/// so the kernel breaks the connection (Linux, tcp(7), `TCP_USER_TIMEOUT`).
pub fn limit_stall(stream: &TcpStream, patience: Duration) {
    #[cfg(target_os = "linux")]
    {
        let ms = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, ms) {
            log::warn!("a client that stops reading will not be given up: {error}");
        }
    }
}

/// Has HEAD served by the handler of GET; the connection leaves the body out. Inboxes show requests as they were sent.
pub fn serve_head_as_get(request: &mut ServiceRequest) {
    if request.method() == Method::HEAD && !request.path().starts_with("/in/") {
        request.head_mut().method = Method::GET;
    }
}

/// Headers of all responses. Browsers keep to HTTPS for a year if the base URL has it.
pub fn default_headers(is_https: bool) -> DefaultHeaders {
    let headers = DefaultHeaders::new()
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::CACHE_CONTROL, "no-store"))
        .add(("cross-origin-opener-policy", "same-origin"))
        .add((header::PERMISSIONS_POLICY, "camera=(), geolocation=(), microphone=(), payment=(), usb=()"));
    if is_https { headers.add((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000")) } else { headers }
}

/// Removes the path of the base URL from a request, since not every proxy removes it.
pub fn strip_prefix(request: &mut ServiceRequest, prefix: &str) {
    let uri = request.uri();
    let path = match uri.path().strip_prefix(prefix) {
        Some("") if !prefix.is_empty() => "/",
        Some(rest) if !prefix.is_empty() && rest.starts_with('/') => rest,
        _ => return,
    };
    let path = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}
