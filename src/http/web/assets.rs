//! Stylesheet, script and icons, embedded in the binary. Their URLs contain a hash, so browsers cache them forever.

use std::collections::HashMap;
use std::sync::OnceLock;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Path, ServiceConfig};
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/static");

/// Media type of an asset; `None` for a file that is not served.
fn media_type(name: &str) -> Option<&'static str> {
    match name.rsplit('.').next() {
        Some("css") => Some("text/css; charset=utf-8"),
        Some("js") => Some("text/javascript; charset=utf-8"),
        Some("svg") => Some("image/svg+xml"),
        _ => None,
    }
}

/// First bytes of each file's hash, by file name.
fn hashes() -> &'static HashMap<String, String> {
    static HASHES: OnceLock<HashMap<String, String>> = OnceLock::new();
    HASHES.get_or_init(|| {
        let hash = |contents: &[u8]| hex::encode(&Sha256::digest(contents)[..6]);
        FILES.files().map(|file| (file.path().display().to_string(), hash(file.contents()))).collect()
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
    let (Some(file), Some(media_type)) = (FILES.get_file(&name), media_type(&name)) else {
        return HttpResponse::NotFound().body("There is no such file.");
    };
    let keep = if hashes().get(&name) == Some(&hash) { "public, max-age=31536000, immutable" } else { "no-store" };
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((CACHE_CONTROL, keep))
        .body(file.contents())
}
