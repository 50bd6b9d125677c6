//! After `/setup`: a first webhook, and a first delivery that is really sent.

mod done;
mod webhook;

use actix_web::web::{self, ServiceConfig};
use tokio::sync::OwnedSemaphorePermit;

use super::page;
use crate::http::error::ApiError;
use crate::http::web::error::PageError;
use crate::http::web::form::Submission;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/setup/webhook").route(web::get().to(webhook::show)).route(web::post().to(webhook::create)));
    config.service(page("/setup/test").route(web::post().to(webhook::test_again)));
    config.service(page("/setup/done").route(web::get().to(done::show)));
    config.service(page("/setup/key").route(web::post().to(done::make_key)));
}

/// Waits for its turn among what holds a thread while a receiver thinks.
async fn turn(submission: &Submission) -> Result<OwnedSemaphorePermit, PageError> {
    let turn = submission.app().tests.clone().acquire_owned().await;
    turn.map_err(|_| ApiError::unavailable("stopping", "Hookpost is stopping.").into())
}
