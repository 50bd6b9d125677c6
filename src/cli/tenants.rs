//! `hookpost tenants`: tenants of a running server, over its API.

use clap::{Args, Subcommand};

use super::CliError;
use super::api::ApiFlags;
use super::output::OutputFlags;
use super::resource::{ListFlags, Query, cell, fields};
use crate::delivery::http::client::Method;

/// List, show and delete tenants of a running server
#[derive(Subcommand)]
pub(super) enum Tenants {
    /// List tenants by name
    List(List),
    Show(Show),
    Delete(Delete),
}

#[derive(Args)]
pub(super) struct List {
    /// Only tenants whose name contains this text
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    #[command(flatten)]
    list: ListFlags,
}

/// Show a tenant with its counts, and how far its deletion is
#[derive(Args)]
pub(super) struct Show {
    /// Name of the tenant
    name: String,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// Delete a tenant with all that it has
///
/// The server deletes the rows in the background; `tenants show` says how far it is.
#[derive(Args)]
pub(super) struct Delete {
    /// Name of the tenant
    name: String,
    /// The name again
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Only count what would be deleted
    #[arg(long, conflicts_with = "confirm")]
    dry_run: bool,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    output: OutputFlags,
}

impl Tenants {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Tenants::List(list) => list.run(),
            Tenants::Show(show) => {
                let answer = show.api.client()?.get(&["v1", "tenants", &show.name], &[])?;
                let tenant = answer.json()?;
                show.output.print_raw(&answer.text, || {
                    let objects = ["webhooks", "deletion"].map(|name| fields(&tenant[name], &[]).replace('\n', "\n  "));
                    let [webhooks, deletion] = objects.map(|text| text.trim_end().to_owned());
                    let mut said = fields(&tenant, &["webhooks", "deletion"]);
                    said += &format!("webhooks:\n  {webhooks}\n");
                    if !deletion.is_empty() {
                        said += &format!("deletion:\n  {deletion}\n");
                    }
                    said
                })
            }
            Tenants::Delete(delete) => {
                let dry_run = delete.dry_run.then_some("true");
                let query = Query::default().and("confirm", delete.confirm.as_deref()).and("dry_run", dry_run);
                let answer = query.call(&delete.api.client()?, Method::DELETE, &["v1", "tenants", &delete.name])?;
                let contents = answer.json()?;
                delete.output.print_raw(&answer.text, || {
                    let said = if delete.dry_run { "Would delete:" } else { "Being deleted:" };
                    format!("{said}\n{}", fields(&contents, &[]))
                })
            }
        }
    }
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let query = Query::default().and("q", self.q.as_deref());
        let header = ["NAME", "ACTIVE", "PAUSED", "DISABLED", "UNVERIFIED", "QUEUED", "DEAD LETTERS", "LAST EVENT"];
        self.list.show(query, &["v1", "tenants"], header, |tenant| {
            let [active, paused, disabled, unverified] =
                ["active", "paused", "disabled", "unverified"].map(|state| cell(&tenant["webhooks"][state]));
            let [name, queued, dead, last] =
                ["name", "queued_deliveries", "dead_letters", "last_event_at"].map(|name| cell(&tenant[name]));
            [name, active, paused, disabled, unverified, queued, dead, last]
        })
    }
}
