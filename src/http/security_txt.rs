//! `/.well-known/security.txt` (RFC 9116): whom to tell of a vulnerability of this server.

use actix_web::http::header;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::{App, unknown_path};
use crate::domain::time::{DAY, Millis, rfc3339_seconds};

pub const PATH: &str = "/.well-known/security.txt";

/// How long a reader may rely on the file. RFC 9116, 2.5.5, recommends less than a year.
const EXPIRES_AFTER: Millis = 180 * DAY;

pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource(PATH).route(web::get().to(show)));
}

async fn show(app: Data<App>, request: HttpRequest) -> HttpResponse {
    let contacts = &app.live().security_contacts;
    if contacts.is_empty() {
        return unknown_path(request).await;
    }
    let mut text = String::new();
    for contact in contacts {
        text += &format!("Contact: {contact}\n");
    }
    // A whole day, so that the file changes once a day.
    let expires = (app.actions.clock.now_ms() + EXPIRES_AFTER) / DAY * DAY;
    text += &format!("Expires: {}\nCanonical: {}\n", rfc3339_seconds(expires), app.site.url(PATH));
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8")).body(text)
}
