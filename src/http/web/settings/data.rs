//! `/settings/data`: the pause of all deliveries, retention, the database, backups.

use super::super::super::backup;
use super::super::super::stream::presence;
use crate::actions::ActionError;
use crate::actions::backups::{BackupFile, BackupSettings, BackupStatus};
use crate::actions::pause::parse_reason;
use crate::auth::role::Action;
use crate::domain::time::Millis;
use crate::http::web::limits::{self, LimitRow};
use crate::http::web::{
    Confirm, Fields, FormErrors, Frame, PageError, PageResult, Response, Section, Session, Submission, Template,
    problem,
};
use crate::store::pause::MAX_REASON_CHARS;
use crate::text::humanize;

const EFFECT_OF_PAUSE: &str = "Events are accepted and stored. Nothing is sent to any webhook of any tenant, and retries \
    wait, until somebody resumes deliveries; a restart does not end the pause. Requests in flight end as they would. Test \
    events and messages to contacts are still sent.";
/// Backups that the page lists.
const SHOWN_BACKUPS: usize = 10;

#[derive(Template)]
#[template(path = "settings/data.html")]
pub struct DataPage {
    frame: Frame,
    /// Retention of finished deliveries, dead letters and the audit log.
    retention: [String; 3],
    limits: Vec<LimitRow>,
    path: String,
    database: String,
    wal: String,
    free: Option<String>,
    /// Scheduled backups.
    backups: Option<ShownBackups>,
    /// Reason of a pause, as typed.
    reason: String,
    errors: FormErrors,
}

/// Scheduled backups as shown.
struct ShownBackups {
    folder: String,
    /// Interval and number of backups, as a sentence.
    plan: String,
    next_ms: Millis,
    fault: Option<String>,
    unreadable: Option<String>,
    /// Name, time and size of the newest ones.
    files: Vec<(String, Millis, String)>,
}

impl From<BackupStatus> for ShownBackups {
    fn from(status: BackupStatus) -> ShownBackups {
        let BackupSettings { folder, plan } = status.settings;
        let (files, unreadable) = match status.files {
            Ok(files) => (files, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let shown = |file: &BackupFile| {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, file.made_ms, humanize::bytes(file.bytes))
        };
        ShownBackups {
            folder: folder.display().to_string(),
            plan: format!("One in {}; the newest {} are kept.", humanize::duration(plan.every), plan.keep),
            next_ms: status.next_ms,
            fault: status.fault,
            unreadable,
            files: files.iter().take(SHOWN_BACKUPS).map(shown).collect(),
        }
    }
}

/// `GET /settings/data`.
pub fn show(session: &Session) -> Result<DataPage, PageError> {
    session.require_operator()?;
    let actions = &session.app.actions;
    let (database, wal) = actions.store.sizes();
    let retention = actions.live.get().retention;
    let days = |days: u32| humanize::counted(days.into(), "day");
    let (frame, limits) =
        session.read(|db| Ok((session.frame(db, "Data", Section::Settings)?, limits::of_all(&session.app, db)?)))?;
    Ok(DataPage {
        frame: frame.with_api("GET", "/v1/backup"),
        retention: [
            match retention.finished_days() {
                Some(limit) => format!(
                    "Delivered and discarded deliveries are deleted after {}, with their attempts; an event goes with its last delivery.",
                    days(limit)
                ),
                None => "Delivered and discarded deliveries are kept forever.".to_owned(),
            },
            match retention.failed_days() {
                Some(limit) => format!("Dead letters are deleted after {}.", days(limit)),
                None => "Dead letters are kept forever.".to_owned(),
            },
            match retention.audit_days() {
                Some(limit) => format!("Entries of the audit log are deleted after {}.", days(limit)),
                None => "The audit log is kept forever.".to_owned(),
            },
        ],
        limits,
        path: actions.store.path().display().to_string(),
        database: humanize::bytes(database),
        wal: humanize::bytes(wal),
        free: actions.store.free_bytes().map(humanize::bytes),
        backups: actions.backups.status(session.now()).map(ShownBackups::from),
        reason: String::new(),
        errors: FormErrors::default(),
    })
}

/// `POST /settings/data/backup`: like `GET /v1/backup`.
pub async fn backup(submission: Submission) -> PageResult {
    let (client, is_awaited) = presence();
    let copied = submission.run_action(Action::Administer, move |session, _| {
        let copied = backup::copy(&session.app.actions.store, &session.caller(), is_awaited)?;
        Ok(Response::Backup(copied))
    });
    let response = copied.await;
    drop(client);
    response
}

/// `POST /settings/data/pause`: pauses all deliveries. Asks for confirmation first.
pub fn pause(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let reason = match parse_reason(fields.text("reason")) {
        Ok(reason) => reason,
        Err(invalid) => {
            let errors = problem(ActionError::from(invalid))?.into();
            let reason = fields.text("reason").to_owned();
            return Ok(Response::again(&DataPage { reason, errors, ..show(session)? }));
        }
    };
    if !fields.has("confirmed") {
        let body = serde_json::json!({ "reason": reason }).to_string();
        let confirm = Confirm {
            heading: "Pause all deliveries?".to_owned(),
            facts: vec![("Reason", reason.clone())],
            effect: EFFECT_OF_PAUSE.to_owned(),
            action: Some("/settings/data/pause".to_owned()),
            button: "Pause all deliveries".to_owned(),
            is_danger: true,
            fields: vec![("reason".to_owned(), reason)],
            back: "/settings/data".to_owned(),
            ..Confirm::default()
        };
        let mut page = confirm.page(session, Section::Settings)?;
        page.frame = page.frame.with_api_body("PUT", "/v1/pause", &body);
        return Ok(Response::ok(&page));
    }
    session.app.actions.pause_deliveries(&session.caller(), &reason).wait()?;
    Ok(session.done("/settings/data", "All deliveries are paused. Events are accepted and queued."))
}

/// `POST /settings/data/resume`: ends the pause of all deliveries.
pub fn resume(session: &Session, _: &Fields) -> Result<Response, PageError> {
    session.app.actions.resume_deliveries(&session.caller()).wait()?;
    Ok(session.done("/", "Deliveries are sent again.".to_owned()))
}
