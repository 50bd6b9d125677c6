//! Pages for browsers. Each works without a script: links, GET forms for filters, a redirect after each change. One file
//! per page, with its template under `templates/` by the same name.
//!
//! Owns: HTML, cookies, form tokens. Contains no decisions: every change is one of `actions`, or of `auth` for
//! users. Reads go to the store's queries, within one snapshot per page (`Session::read`).

mod account;
mod anonymous;
mod assets;
mod chart;
mod confirm;
mod contacts;
mod cookies;
mod date_field;
mod deliveries {
    pub mod attempt;
    pub mod bulk;
    pub mod filter;
    pub mod list;
    pub mod rows;
    pub mod show;
}
mod demo;
mod display;
mod error;
mod event_types {
    pub mod edit;
    pub mod list;
    pub mod show;
}
mod events {
    pub mod list;
    pub mod new;
    pub mod show;
}
mod failed;
mod failing_contacts;
mod form;
mod inbox {
    pub mod list;
    pub mod request;
}
mod incidents {
    pub mod list;
    pub mod show;
}
mod layout;
mod limits;
mod list_query;
mod login;
mod login_code;
mod made_of;
mod onboarding {
    pub mod done;
    mod publish;
    pub mod webhook;
}
mod overview;
mod pager;
mod password_again;
mod portal;
mod profiles {
    pub mod edit;
    pub mod list;
    pub mod show;
}
mod response;
mod sample;
mod search;
mod session;
mod settings {
    pub mod audit;
    pub mod data;
    pub mod keys;
    pub mod portal;
    pub mod targets;
    pub mod tenants;
    pub mod users;
}
mod setup;
pub mod shown_once;
mod strip;
mod suggestions;
mod two_factor;
mod verdict;
mod webhooks {
    pub mod auth;
    pub mod delete;
    pub mod edit;
    pub mod endpoints;
    pub mod filter;
    pub mod form;
    pub mod header;
    pub mod list;
    pub mod metrics;
    mod parts;
    pub mod replay;
    pub mod secret;
    pub mod show;
    pub mod signing;
    pub mod state;
    pub mod template;
    pub mod test;
    pub mod tls;
}

use actix_web::web::{self, Path, ServiceConfig, resource};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, Route};
use askama::Template;

use crate::actions::delivery::bulk::BulkAction;
use crate::auth::role::Action;
use crate::http::extract::app;
use crate::store::Connection;
use confirm::Confirm;
use deliveries::bulk;
use error::PageError;
use form::{Fields, FormErrors, Submission, problem};
use layout::{Frame, Section, Shell};
use response::{PageResult, Response};
use session::Session;

/// Every route of the pages. A path without parameters comes before one with parameters that matches it too.
pub fn routes(config: &mut ServiceConfig) {
    let mut at = |path: &str, routes: Vec<Route>| add(config, path, routes);
    at("/confirm-contact", vec![web::get().to(contacts::confirm::show), web::post().to(contacts::confirm::confirm)]);
    at("/demo", vec![web::get().to(demo::show), web::post().to(demo::enter)]);
    at("/login", vec![web::get().to(login::show), web::post().to(login::sign_in)]);
    at("/login/code", vec![web::get().to(login_code::show), web::post().to(login_code::sign_in)]);
    at("/portal", vec![web::get().to(portal::show), web::post().to(portal::enter)]);
    at("/portal/logo", vec![web::get().to(portal::logo)]);
    at("/portal/look.css", vec![web::get().to(portal::style)]);
    at("/setup", vec![web::get().to(setup::show), web::post().to(setup::set_up)]);
    at("/setup/webhook", vec![get(onboarding::webhook::show), call(onboarding::webhook::create)]);
    at("/setup/test", vec![call(onboarding::webhook::test_again)]);
    at("/setup/done", vec![read(onboarding::done::show)]);
    at("/setup/key", vec![administer(onboarding::done::create_key)]);
    at("/account", vec![get(account::show)]);
    at("/account/password", vec![web::post().to(account::change_password)]);
    at("/account/two-factor", vec![get(two_factor::show), web::post().to(two_factor::enable)]);
    at("/account/two-factor/codes", vec![web::post().to(two_factor::renew_codes)]);
    at("/account/two-factor/off", vec![web::post().to(two_factor::disable)]);
    at("/account/sessions/{id}/end", vec![web::post().to(account::end_session)]);
    at("/account/end-other-sessions", vec![web::post().to(account::end_other_sessions)]);

    at("/events/new", vec![read(events::new::show), web::post().to(events::new::submit)]);
    // Outside `/event-types/`, where a type may be named "new".
    at("/new-event-type", vec![read(event_types::edit::blank), post(event_types::edit::create)]);
    at("/event-types/{name}/edit", vec![read_at(event_types::edit::show), post_at(event_types::edit::change)]);
    at("/event-types/{name}/delete", vec![post_at(event_types::edit::delete)]);
    at("/profiles", vec![read(profiles::list::show)]);
    at("/profiles/new", vec![get(profiles::edit::blank), post(profiles::edit::create)]);
    at("/profiles/{name}", vec![read_at(profiles::show::show)]);
    at("/profiles/{name}/edit", vec![get_at(profiles::edit::show), post_at(profiles::edit::change)]);
    at("/profiles/{name}/delete", vec![post_at(profiles::edit::delete)]);

    at("/settings", vec![web::get().to(settings::keys::start)]);
    at("/settings/keys", vec![get(settings::keys::show), administer(settings::keys::create)]);
    at("/settings/keys/{id}/rotate", vec![administer_at(settings::keys::rotate)]);
    at("/settings/keys/{id}/revoke", vec![administer_at(settings::keys::revoke)]);
    at("/settings/users", vec![get(settings::users::show), administer(settings::users::add)]);
    at("/settings/users/{seq}", vec![get_at(settings::users::user)]);
    at("/settings/users/{seq}/role", vec![administer_at(settings::users::set_role)]);
    at("/settings/users/{seq}/password", vec![administer_at(settings::users::reset_password)]);
    at("/settings/users/{seq}/reset-two-factor", vec![administer_at(settings::users::reset_two_factor)]);
    at("/settings/users/{seq}/remove", vec![administer_at(settings::users::remove)]);
    at("/settings/portal", vec![read(settings::portal::show), administer(settings::portal::end_all)]);
    let open = |form: Submission| form.run_action(Action::RevealSecret, settings::portal::open);
    at("/settings/portal/open", vec![web::post().to(open)]);
    at("/settings/portal/{id}/end", vec![administer_at(settings::portal::end)]);
    at("/settings/tenants", vec![read(settings::tenants::show)]);
    let delete = administer_at(settings::tenants::delete);
    at("/settings/tenants/{name}/delete", vec![get_at(settings::tenants::ask), delete]);
    at("/settings/targets", vec![get(settings::targets::show), administer(settings::targets::allow)]);
    at("/settings/targets/remove", vec![administer(settings::targets::remove)]);
    at("/settings/data", vec![get(settings::data::show)]);
    at("/settings/data/backup", vec![web::post().to(settings::data::backup)]);
    at("/settings/data/pause", vec![administer(settings::data::pause)]);
    at("/settings/data/resume", vec![administer(settings::data::resume)]);
    at("/settings/audit", vec![read(settings::audit::show)]);

    config.service(web::scope(portal::PATH).configure(tenant_routes));
    tenant_routes(config);
}

/// Routes that the portal has too, below its path.
fn tenant_routes(config: &mut ServiceConfig) {
    assets::routes(config);
    let mut at = |path: &str, routes: Vec<Route>| add(config, path, routes);
    at("/logout", vec![web::post().to(login::sign_out)]);
    at("/account/display", vec![web::post().to(display::change)]);
    let once = |session: Session, token: Path<String>| session.answer(move |session| shown_once::show(session, &token));
    at("/shown-once/{token}", vec![web::get().to(once)]);
    at("/deliveries", vec![get(deliveries::list::show)]);
    for (path, action) in [("/deliveries/retry", BulkAction::Retry), ("/deliveries/discard", BulkAction::Discard)] {
        let ask = web::get().to(move |session| bulk::ask(session, action));
        at(path, vec![ask, web::post().to(move |submission| bulk::submit(submission, action))]);
    }
    at("/deliveries/{id}", vec![read_at(deliveries::show::show)]);
    at("/deliveries/{id}/retry", vec![post_at(deliveries::show::retry)]);
    at("/deliveries/{id}/discard", vec![post_at(deliveries::show::discard)]);
    at("/deliveries/{id}/attempts/{number}/{half}", vec![web::get().to(deliveries::show::download)]);
    at("/failed", vec![read(failed::show)]);
    at("/failed/export", vec![web::get().to(failed::download)]);

    at("/contacts", vec![read(contacts::list::show)]);
    at("/contacts/new", vec![read(contacts::show::blank), call(contacts::show::create)]);
    at("/contacts/{id}", vec![read_at(contacts::show::show), call_at(contacts::show::change)]);
    at("/contacts/{id}/test", vec![call_at(contacts::show::test)]);
    at("/contacts/{id}/confirmation", vec![call_at(contacts::show::confirm)]);
    at("/contacts/{id}/delete", vec![post_at(contacts::show::delete)]);
    at("/incidents", vec![read(incidents::list::show)]);
    at("/incidents/{id}", vec![read_at(incidents::show::show)]);
    at("/incidents/{id}/test", vec![call_at(incidents::show::test)]);
    at("/incidents/{id}/notes", vec![post_at(incidents::show::add_note)]);
    at("/incidents/{id}/mute", vec![post_at(incidents::show::mute)]);
    at("/events", vec![get(events::list::show)]);
    at("/events/{id}", vec![read_at(events::show::show)]);
    at("/events/{id}/replay", vec![post_at(events::show::replay)]);
    at("/events/{id}/erase", vec![post_at(events::show::erase)]);
    at("/events/{id}/{part}", vec![web::get().to(events::show::download)]);
    at("/event-types", vec![read(event_types::list::show)]);
    at("/event-types/{name}", vec![read_at(event_types::show::show)]);
    at("/inbox", vec![read(inbox::list::show), post(inbox::list::open)]);
    at("/inbox/empty", vec![get(inbox::list::ask_to_empty), post(inbox::list::empty)]);
    at("/inbox/url", vec![get(inbox::list::ask_to_change_url), post(inbox::list::change_url)]);
    at("/inbox/close", vec![get(inbox::list::ask_to_close), post(inbox::list::close)]);
    at("/inbox/{id}", vec![read_at(inbox::request::show)]);

    at("/search", vec![get(search::show)]);
    at("/webhooks", vec![get(webhooks::list::show)]);
    at("/webhooks/new", vec![read(webhooks::edit::blank), call(webhooks::edit::create)]);
    at("/webhooks/{id}", vec![read_at(webhooks::show::deliveries)]);
    at("/webhooks/{id}/metrics", vec![read_at(webhooks::metrics::show)]);
    at("/webhooks/{id}/settings", vec![read_at(webhooks::show::settings)]);
    at("/webhooks/{id}/edit", vec![read_at(webhooks::edit::show), call_at(webhooks::edit::change)]);
    at("/webhooks/{id}/test", vec![read_at(webhooks::test::show), call_at(webhooks::test::send)]);
    let reveal = act_at(Action::RevealSecret, webhooks::secret::reveal);
    at("/webhooks/{id}/secret", vec![read_at(webhooks::secret::show), reveal]);
    at("/webhooks/{id}/secret/rotate", vec![post_at(webhooks::secret::rotate)]);
    at("/webhooks/{id}/pause", vec![post_at(webhooks::state::pause)]);
    at("/webhooks/{id}/resume", vec![get_at(webhooks::state::ask), call_at(webhooks::state::resume)]);
    at("/webhooks/{id}/verify", vec![call_at(webhooks::state::verify)]);
    at("/webhooks/{id}/replay", vec![get_at(webhooks::replay::show), web::post().to(webhooks::replay::replay)]);
    at("/webhooks/{id}/delete", vec![read_at(webhooks::delete::ask), post_at(webhooks::delete::delete)]);
    overview::routes(config);
}

fn add(config: &mut ServiceConfig, path: &str, routes: Vec<Route>) {
    config.service(routes.into_iter().fold(resource(path), actix_web::Resource::route));
}

type Shown<T> = Result<T, PageError>;
type Submitted = Result<Response, PageError>;

/// A page whose work begins its own reads. Runs on a blocking thread, like all of these.
fn get<T: Template + 'static>(work: fn(&Session) -> Shown<T>) -> Route {
    web::get().to(move |session: Session| session.show(work))
}

fn get_at<T: Template + 'static>(work: fn(&Session, &str) -> Shown<T>) -> Route {
    web::get().to(move |session: Session, id: Path<String>| session.show(move |session| work(session, &id)))
}

/// A page that is read within one snapshot.
fn read<T: Template + 'static>(work: fn(&Session, &Connection) -> Shown<T>) -> Route {
    web::get().to(move |session: Session| session.show(move |session| session.read(|db| work(session, db))))
}

fn read_at<T: Template + 'static>(work: fn(&Session, &Connection, &str) -> Shown<T>) -> Route {
    web::get().to(move |session: Session, id: Path<String>| {
        session.show(move |session| session.read(|db| work(session, db, &id)))
    })
}

/// A form. Viewers are refused.
fn post(work: fn(&Session, &Fields) -> Submitted) -> Route {
    web::post().to(move |form: Submission| form.run(work))
}

fn post_at(work: fn(&Session, &Fields, &str) -> Submitted) -> Route {
    web::post()
        .to(move |form: Submission, id: Path<String>| form.run(move |session, fields| work(session, fields, &id)))
}

/// A form of an action.
fn act_at(action: Action, work: fn(&Session, &Fields, &str) -> Submitted) -> Route {
    web::post().to(move |form: Submission, id: Path<String>| {
        form.run_action(action, move |session, fields| work(session, fields, &id))
    })
}

/// A form of administrators, which needs the password.
fn administer(work: fn(&Session, &Fields) -> Submitted) -> Route {
    web::post().to(move |form: Submission| form.run_action(Action::Administer, work))
}

fn administer_at(work: fn(&Session, &Fields, &str) -> Submitted) -> Route {
    act_at(Action::Administer, work)
}

/// A form whose work waits for a receiver.
fn call(work: fn(&Session, &Fields) -> Submitted) -> Route {
    web::post().to(move |form: Submission| form.run_receiver_call(work))
}

fn call_at(work: fn(&Session, &Fields, &str) -> Submitted) -> Route {
    web::post().to(move |form: Submission, id: Path<String>| {
        form.run_receiver_call(move |session, fields| work(session, fields, &id))
    })
}

/// 404 page, within the frame if the visitor is signed in.
pub fn unknown_page(request: &HttpRequest) -> HttpResponse {
    if let Ok(session) = Session::of(request) {
        return session.unknown();
    }
    let shell = app(request).map_or_else(|_| Shell::default(), |app| Shell::of(request, app));
    PageError::not_found("page").within(shell).error_response()
}
