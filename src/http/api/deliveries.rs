//! `/v1/deliveries` and `/v1/dead-letters`.

use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, Administrator, Reader};
use super::{blocking, list, resource, view};
use crate::actions::Caller;
use crate::domain::delivery::DeliveryStatus;
use crate::store::delivery::{self, DeliveryFilter};
use crate::store::page::PageRequest;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/v1/deliveries").route(web::get().to(index)));
    config.service(resource("/v1/deliveries/{id}").route(web::get().to(show)));
    config.service(resource("/v1/deliveries/{id}/retry").route(web::post().to(retry)));
    config.service(resource("/v1/deliveries/{id}/discard").route(web::post().to(discard)));
    config.service(resource("/v1/dead-letters").route(web::get().to(dead_letters)));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveryQuery {
    webhook_id: Option<String>,
    event_id: Option<String>,
    status: Option<String>,
    event_type: Option<String>,
    tenant: Option<String>,
    response_code: Option<String>,
    error_code: Option<String>,
    test: Option<String>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

impl DeliveryQuery {
    fn parse(&self, caller: &Caller) -> Result<(DeliveryFilter, PageRequest), ApiError> {
        let filter = DeliveryFilter {
            webhook: list::other(
                "webhook_id",
                self.webhook_id.as_deref(),
                "an id such as wh_…",
            )?,
            event: list::parameter("event_id", self.event_id.as_deref())?,
            status: list::parameter("status", self.status.as_deref())?,
            event_type: list::parameter("event_type", self.event_type.as_deref())?,
            tenant: caller.tenant_filter(self.tenant.as_deref())?,
            response_code: list::other(
                "response_code",
                self.response_code.as_deref(),
                "a status code such as 500",
            )?,
            error_code: list::other(
                "error_code",
                self.error_code.as_deref(),
                "an error code such as timeout",
            )?,
            test: list::other("test", self.test.as_deref(), "true or false")?,
            since: list::time("since", self.since.as_deref())?,
            until: list::time("until", self.until.as_deref())?,
        };
        let page = list::page(self.limit.as_deref(), self.cursor.as_deref())?;
        Ok((filter, page))
    }

    /// The same for dead letters: deliveries that failed, tests left out.
    fn dead_letters(&self, caller: &Caller) -> Result<(DeliveryFilter, PageRequest), ApiError> {
        let (mut filter, page) = self.parse(caller)?;
        for (name, given) in [
            ("status", filter.status.is_some()),
            ("test", filter.test.is_some()),
        ] {
            if given {
                return Err(ApiError::invalid(
                    "unknown_parameter",
                    format!("Dead letters have one status and are no tests; leave {name} out."),
                )
                .in_field(name));
            }
        }
        filter.status = Some(DeliveryStatus::Failed);
        filter.test = Some(false);
        Ok((filter, page))
    }

    /// All dead letters, not a page of them.
    pub(super) fn all_dead_letters(&self, caller: &Caller) -> Result<DeliveryFilter, ApiError> {
        for (name, given) in [("limit", &self.limit), ("cursor", &self.cursor)] {
            if given.is_some() {
                return Err(ApiError::invalid(
                    "unknown_parameter",
                    format!("An export holds all that match; leave {name} out."),
                )
                .in_field(name));
            }
        }
        Ok(self.dead_letters(caller)?.0)
    }
}

/// `GET /v1/deliveries`.
async fn index(
    app: Data<App>,
    request: HttpRequest,
    Reader(caller): Reader,
) -> Result<HttpResponse, ApiError> {
    let query: DeliveryQuery = extract::query(&request)?;
    let (filter, page) = query.parse(&caller)?;
    show_list(&app, filter, page).await
}

/// `GET /v1/dead-letters`: deliveries that failed, tests left out.
async fn dead_letters(
    app: Data<App>,
    request: HttpRequest,
    Reader(caller): Reader,
) -> Result<HttpResponse, ApiError> {
    let query: DeliveryQuery = extract::query(&request)?;
    let (filter, page) = query.dead_letters(&caller)?;
    show_list(&app, filter, page).await
}

async fn show_list(
    app: &App,
    filter: DeliveryFilter,
    page: PageRequest,
) -> Result<HttpResponse, ApiError> {
    let store = app.actions.store.clone();
    let found =
        blocking(move || store.read(|connection| delivery::list(connection, &filter, &page)));
    Ok(list::show(found.await?, |delivery| {
        view::delivery(&delivery)
    }))
}

/// `GET /v1/deliveries/{id}`: with every attempt.
async fn show(
    app: Data<App>,
    Reader(caller): Reader,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let actions = app.actions.clone();
    let full = blocking(move || actions.delivery_in_full(&caller, &id)).await?;
    Ok(HttpResponse::Ok().json(view::delivery_in_full(&full)))
}

/// `POST /v1/deliveries/{id}/retry`.
async fn retry(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let delivery = app.actions.retry(&caller, &id).committed().await?;
    Ok(HttpResponse::Accepted().json(view::delivery(&delivery)))
}

/// `POST /v1/deliveries/{id}/discard`.
async fn discard(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let delivery = app.actions.discard(&caller, &id).committed().await?;
    Ok(HttpResponse::Accepted().json(view::delivery(&delivery)))
}
