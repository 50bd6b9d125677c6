//! The JSON API, one file a resource.

mod api_keys;
mod backup;
mod batch;
mod bulk;
mod deliveries;
mod docs;
mod event_types;
mod events;
mod export;
mod health;
mod list;
mod metrics;
mod openapi;
mod portal_links;
mod profiles;
mod replay;
mod stats;
mod table;
mod test_events;
pub(super) mod view;
mod webhooks;

use actix_web::web::ServiceConfig;

use super::blocking;

use table::Table;

/// Every route of the API.
pub fn routes(config: &mut ServiceConfig) {
    table().serve(config);
}

/// Every path and what it takes.
fn table() -> Table {
    let mut table = Table::default();
    let all = &mut table;
    events::routes(all);
    batch::routes(all);
    replay::routes(all);
    // Under both: the reference documents address webhooks in both ways.
    for base in ["/v1", "/api"] {
        webhooks::routes(all, base);
        test_events::routes(all, base);
        replay::webhook_routes(all, base);
        stats::webhook_routes(all, base);
    }
    deliveries::routes(all);
    bulk::routes(all);
    export::routes(all);
    event_types::routes(all);
    profiles::routes(all);
    api_keys::routes(all);
    portal_links::routes(all);
    backup::routes(all);
    stats::routes(all);
    health::routes(all);
    metrics::routes(all);
    openapi::route::routes(all);
    docs::routes(all);
    table
}
