//! `DELETE /v1/events/{id}`: erases the data of an event.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::events::{AMBIGUOUS, WhoseQuery};
use super::openapi::schema::EventId;
use super::{Administrator, ApiResult, App, Call, Scope, extract};

pub(super) fn describe(call: &mut Call<'_>) {
    call.operation("Events", "erase_event", "Erase the data of an event")
        .description("Erases `data` and `previous_data`, the headers and bodies of the requests and responses of its attempts, and its copies in the built-in inbox. The event stays in lists, with `erased_at`. Deliveries that wait are discarded, and none is sent again. Copies in backups stay. If the server stops before the end, repeat the call.")
        .scope(Scope::Admin)
        .path_parameter::<EventId>("id");
    describe_erasure(call);
}

pub(super) fn describe_named_batch(call: &mut Call<'_>) {
    call.operation("Events", "erase_event_named_batch", "Erase the data of the event with the id `batch`")
        .scope(Scope::Admin);
    describe_erasure(call);
}

fn describe_erasure(call: &mut Call<'_>) {
    call.is_job()
        .query_parameters::<WhoseQuery>()
        .no_content("The data is erased.")
        .errors(404, &["not_found"])
        .errors(409, AMBIGUOUS)
        .errors(422, &["invalid_tenant"]);
}

pub(super) async fn erase(
    app: Data<App>,
    request: HttpRequest,
    Administrator(caller): Administrator,
    id: Path<String>,
) -> ApiResult {
    let WhoseQuery { tenant } = extract::query(&request)?;
    let state = app.clone();
    let work = move |caller: &_| {
        let go_on = || !state.is_stopping();
        state.actions.erase_event(caller, &id, tenant.as_deref(), &go_on)
    };
    app.jobs.run(caller, work).await??;
    Ok(HttpResponse::NoContent().finish())
}

/// `DELETE /v1/events/batch`: `batch` is a valid event id.
pub(super) async fn named_batch(app: Data<App>, request: HttpRequest, caller: Administrator) -> ApiResult {
    erase(app, request, caller, Path::from("batch".to_owned())).await
}
