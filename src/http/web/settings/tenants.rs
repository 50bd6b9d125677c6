//! `/settings/tenants`: tenants with counts, and their deletion.

use crate::actions::ActionError;
use crate::domain::Invalid;
use crate::domain::event::Tenant;
use crate::domain::needle::Needle;
use crate::http::web::list_query::below;
use crate::http::web::{
    Connection, Fields, FormErrors, Frame, PageError, Response, Section, Session, Template, problem,
};
use crate::store::page::DEFAULT_LIMIT;
use crate::store::tenant::{self, Contents, MOST_DEAD_LETTERS, TenantSummary};
use crate::text::humanize;

const PATH: &str = "/settings/tenants";

#[derive(Template)]
#[template(path = "settings/tenants.html")]
pub struct TenantsPage {
    frame: Frame,
    rows: Vec<TenantSummary>,
    /// Text that the names contain; empty for all.
    q: String,
    next: Option<String>,
    is_first_page: bool,
}

impl TenantsPage {
    fn dead_letters(row: &TenantSummary) -> String {
        humanize::or_more(row.dead_letters, MOST_DEAD_LETTERS as u32)
    }

    fn webhooks(row: &TenantSummary) -> String {
        humanize::number(row.webhooks.total())
    }

    fn queued(row: &TenantSummary) -> String {
        humanize::number(row.queued)
    }

    /// Says how many webhooks are not active, and why.
    fn inactive(row: &TenantSummary) -> String {
        let states = [
            (row.webhooks.paused, "paused"),
            (row.webhooks.disabled, "disabled"),
            (row.webhooks.unverified, "unverified"),
        ];
        let parts = states.iter().filter(|(count, _)| *count > 0);
        parts.map(|(count, state)| format!("{} {state}", humanize::number(*count))).collect::<Vec<_>>().join(", ")
    }
}

/// `GET /settings/tenants?q=&after=`.
pub fn show(session: &Session, db: &Connection) -> Result<TenantsPage, PageError> {
    session.require_operator()?;
    let q = session.query.given("q").unwrap_or_default().to_owned();
    let needle = (!q.is_empty()).then(|| q.parse::<Needle>()).transpose()?;
    let after = session.query.text("after");
    let page = tenant::page(db, needle.as_ref(), after, DEFAULT_LIMIT)?;
    let frame = session.frame(db, "Tenants", Section::Settings)?.with_api("GET", "/v1/tenants");
    let next = page.next.map(|name| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([("q", q.as_str()), ("after", name.as_str())].iter().filter(|(_, value)| !value.is_empty()));
        below(&format!("{}{PATH}", frame.base), &query.finish())
    });
    Ok(TenantsPage { rows: page.rows, is_first_page: after.is_empty(), q, next, frame })
}

#[derive(Template)]
#[template(path = "settings/tenant_delete.html")]
pub struct DeletePage<'a> {
    frame: Frame,
    name: Tenant,
    /// Kinds of rows that are deleted, in words, with their numbers.
    facts: Vec<(&'static str, String)>,
    typed: &'a str,
    errors: FormErrors,
}

fn delete_page<'a>(
    session: &Session,
    name: &Tenant,
    typed: &'a str,
    errors: FormErrors,
) -> Result<DeletePage<'a>, PageError> {
    session.require_administrator()?;
    let go_on = || !session.app.is_stopping();
    let contents = session.app.actions.delete_tenant(&session.caller(), name, true, &go_on)?;
    let frame = session.read(|db| session.frame(db, format!("Delete {name}"), Section::Settings))?;
    Ok(DeletePage {
        frame: frame.with_api("DELETE", &format!("/v1/tenants/{name}?confirm={name}")),
        name: name.clone(),
        facts: facts(&contents),
        typed,
        errors,
    })
}

fn facts(contents: &Contents) -> Vec<(&'static str, String)> {
    let Contents { webhooks, deliveries, events, contacts, api_keys, portal_links } = *contents;
    let counts = [
        ("Webhooks", webhooks),
        ("Events", events),
        ("Deliveries", deliveries),
        ("Contacts", contacts),
        ("API keys", api_keys),
        ("Portal links and sessions", portal_links),
    ];
    counts.map(|(what, count)| (what, humanize::number(count))).to_vec()
}

fn parse(name: &str) -> Result<Tenant, PageError> {
    name.parse().map_err(|_| PageError::not_found("tenant"))
}

/// `GET /settings/tenants/{name}/delete`: counts what is deleted, and asks to type the name.
pub fn ask(session: &Session, name: &str) -> Result<DeletePage<'static>, PageError> {
    delete_page(session, &parse(name)?, "", FormErrors::default())
}

/// `POST /settings/tenants/{name}/delete`.
pub fn delete(session: &Session, fields: &Fields, name: &str) -> Result<Response, PageError> {
    let name = parse(name)?;
    let typed = fields.text("typed").trim();
    let go_on = || !session.app.is_stopping();
    let begun = match typed == name.as_str() {
        true => session.app.actions.delete_tenant(&session.caller(), &name, false, &go_on),
        false => {
            let message = format!("This is not {name}. Nothing was deleted.");
            Err(ActionError::from(Invalid::new("wrong_name", message).in_field("typed")))
        }
    };
    match begun {
        Ok(_) => {
            let message =
                format!("{name} is being deleted. Nothing is sent for it any more, and nobody gets in with its keys.");
            Ok(session.done(PATH, message))
        }
        Err(error @ ActionError::NotFound(_)) => Err(error.into()),
        Err(error) => Ok(Response::again(&delete_page(session, &name, typed, problem(error)?.into())?)),
    }
}
