//! `/account/two-factor`: the visitor's own two-factor authentication.

use actix_web::HttpRequest;
use qrcode::QrCode;
use qrcode::render::svg;

use super::account::{require_password, throttled_by};
use crate::auth::throttle::Subject;
use crate::auth::totp::TotpSecret;
use crate::auth::two_factor;
use crate::auth::users::UserError;
use crate::http::extract::app;
use crate::http::web::layout::Html;
use crate::http::web::response::local;
use crate::http::web::{
    Fields, FormErrors, Frame, PageError, PageResult, Response, Section, Session, Submission, Template, problem,
    shown_once,
};
use crate::store;
use crate::store::recovery_code;
use crate::store::session::Owner;
use crate::store::user::User;

/// Paths that a user without two-factor authentication may visit if it is required. The first leads to its setup.
pub(super) const SETUP_PATHS: [&str; 2] = ["/account/two-factor", "/logout"];

/// Whether the user of a session has no two-factor authentication. A user that a proxy signed in has the proxy's.
pub(super) fn is_missing(session: &store::session::Session) -> bool {
    matches!(&session.owner, Owner::User(user) if !user.has_totp) && !session.by_proxy
}

#[derive(Template)]
#[template(path = "two_factor.html")]
pub struct TwoFactorPage {
    frame: Frame,
    /// Key to scan, if two-factor authentication is off.
    setup: Option<Setup>,
    codes_left: u64,
    /// New recovery codes, shown once.
    codes: Option<Vec<String>>,
    is_required: bool,
    /// Path to continue at after the setup.
    next: String,
    errors: FormErrors,
}

struct Setup {
    secret: String,
    qr_code: Html,
}

impl Setup {
    fn new(session: &Session, user: &User, secret: &TotpSecret) -> Setup {
        let base = session.app.site.base();
        let site = base.origin().split("://").nth(1).unwrap_or_default();
        Setup { secret: secret.text(), qr_code: qr_code(&secret.uri(&user.name, site)) }
    }
}

/// Returns a QR code as an SVG element; empty if the text is too long for one.
fn qr_code(text: &str) -> Html {
    let file = QrCode::new(text).map(|code| code.render::<svg::Color<'_>>().min_dimensions(200, 200).build());
    // An XML declaration belongs to a file, not to an element of a page.
    Html(file.ok().and_then(|file| file.split_once("?>").map(|(_, svg)| svg.to_owned())).unwrap_or_default())
}

/// Returns the visitor, unless a proxy signs them in, which is then responsible for a second factor.
fn own_user(session: &Session) -> Result<User, PageError> {
    let user = session.require_operator()?;
    if user.has_password() { Ok(user.clone()) } else { Err(PageError::not_found("page")) }
}

fn page(session: &Session, fields: &Fields, errors: FormErrors) -> Result<TwoFactorPage, PageError> {
    let user = own_user(session)?;
    // A form that is shown again keeps its key, which the app has scanned already.
    let secret = TotpSecret::from_text(fields.text("secret")).unwrap_or_else(TotpSecret::generate);
    let (frame, codes_left) = session.read(|db| {
        let frame = session.frame(db, "Two-factor authentication", Section::None)?;
        Ok((frame, recovery_code::count(db, user.seq)?))
    })?;
    Ok(TwoFactorPage {
        frame,
        setup: (!user.has_totp).then(|| Setup::new(session, &user, &secret)),
        codes_left,
        codes: None,
        is_required: session.app.live().require_totp,
        next: local(fields.text("next")).unwrap_or("/account").to_owned(),
        errors,
    })
}

/// `GET /account/two-factor?next=`.
pub fn show(session: &Session) -> Result<TwoFactorPage, PageError> {
    page(session, &session.query, FormErrors::default())
}

/// Change that a form makes. Returns new recovery codes to show, if there are any.
type Change = fn(&Session, &Fields, User) -> Result<Option<Vec<String>>, UserError>;

/// Runs a form with the visitor's password and a code, for viewers too. Shows the recovery codes once.
async fn run(request: HttpRequest, form: Submission, change: Change) -> PageResult {
    let address = app(&request)?.site.client_address(&request);
    form.run_as_anybody(move |session, fields| {
        let user = own_user(session)?;
        // By the user, because who knows the password can begin a session, or clear the failures of one, at will.
        let changed = throttled_by(session, Subject::Code(user.seq), address, "code", || {
            require_password(&user, fields.text("old"), "old")?;
            change(session, fields, user)
        });
        match changed {
            Ok(Some(codes)) => {
                let page = page(session, fields, FormErrors::default())?;
                Ok(shown_once::redirect(session, &TwoFactorPage { codes: Some(codes), ..page }, "/account"))
            }
            Ok(None) => Ok(session.done("/account", "Two-factor authentication is off.")),
            Err(error) => Ok(Response::again(&page(session, fields, problem(error)?.into())?)),
        }
    })
    .await
}

/// Refuses a code that is wrong or was used. Costs no write.
fn require_code(session: &Session, user: &User, code: &str) -> Result<(), UserError> {
    let is_valid = session.app.actions.store.read(|db| two_factor::is_valid(db, user, code, session.now()))?;
    if is_valid { Ok(()) } else { Err(UserError::WrongCode) }
}

/// `POST /account/two-factor`.
pub async fn enable(request: HttpRequest, form: Submission) -> PageResult {
    run(request, form, |session, fields, user| {
        let secret = TotpSecret::from_text(fields.text("secret")).ok_or(UserError::WrongCode)?;
        let (code, own, actor) = (fields.text("code").to_owned(), session.cookie().to_owned(), session.caller().actor);
        let enable = session
            .app
            .actions
            .store
            .write(move |tx| two_factor::enable(tx.connection(), &actor, &user, &secret, &code, &own, tx.now_ms()));
        enable.wait().map(Some)
    })
    .await
}

/// `POST /account/two-factor/codes`.
pub async fn renew_codes(request: HttpRequest, form: Submission) -> PageResult {
    run(request, form, |session, fields, user| {
        let (code, actor) = (fields.text("code").to_owned(), session.caller().actor);
        require_code(session, &user, &code)?;
        let store = &session.app.actions.store;
        store
            .write(move |tx| two_factor::renew_codes(tx.connection(), &actor, &user, &code, tx.now_ms()))
            .wait()
            .map(Some)
    })
    .await
}

/// `POST /account/two-factor/off`.
pub async fn disable(request: HttpRequest, form: Submission) -> PageResult {
    run(request, form, |session, fields, user| {
        let (code, actor) = (fields.text("code").to_owned(), session.caller().actor);
        require_code(session, &user, &code)?;
        let store = &session.app.actions.store;
        store
            .write(move |tx| two_factor::disable(tx.connection(), &actor, &user, &code, tx.now_ms()))
            .wait()
            .map(|()| None)
    })
    .await
}
