//! Stylesheet, script and icons, embedded in the binary. Their URLs contain a hash, so browsers cache them forever.

use std::collections::HashMap;
use std::sync::OnceLock;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Path, ServiceConfig};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

#[derive(RustEmbed)]
#[folder = "static/"]
#[include = "*.css"]
#[include = "*.js"]
#[include = "*.svg"]
struct Files;

/// First bytes of each file's hash, by file name.
fn hashes() -> &'static HashMap<String, String> {
    static HASHES: OnceLock<HashMap<String, String>> = OnceLock::new();
    HASHES.get_or_init(|| {
        let hash = |name: &str| {
            let file = Files::get(name)?;
            let digest = Sha256::digest(&file.data);
            Some((name.to_owned(), hex::encode(&digest[..6])))
        };
        Files::iter().filter_map(|name| hash(&name)).collect()
    })
}

/// Path of an asset below the server's prefix: `/static/0123456789ab/app.css`.
pub(super) fn path(name: &str) -> String {
    let hash = hashes().get(name).map_or("missing", String::as_str);
    format!("/static/{hash}/{name}")
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config.route("/static/{hash}/{name}", web::get().to(asset));
}

/// `GET /static/{hash}/{name}`. For the hash of another version, returns the current file without caching.
async fn asset(path: Path<(String, String)>) -> HttpResponse {
    let (hash, name) = path.into_inner();
    let Some(file) = Files::get(&name) else {
        return HttpResponse::NotFound().body("There is no such file.");
    };
    let media_type = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    };
    let keep = if hashes().get(&name) == Some(&hash) { "public, max-age=31536000, immutable" } else { "no-store" };
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((CACHE_CONTROL, keep))
        .body(file.data.into_owned())
}
