//! `hookpost rotate-master-key`: encrypts the secrets in a database under a new key.

use clap::Args;
use serde_json::json;

use super::CliError;
use super::output::OutputFlags;
use crate::clock::Clock;
use crate::config::DatabaseFlag;
use crate::store::master_key::rotate;

/// Encrypt the secrets in the database under a new master key, while no server is running; if interrupted, run it again
///
/// The new key is generated, or taken from the file <database>.key.new if you create it before.
#[derive(Args)]
pub(super) struct RotateMasterKey {
    #[command(flatten)]
    database: DatabaseFlag,
    #[command(flatten)]
    output: OutputFlags,
}

impl RotateMasterKey {
    pub(super) fn run(self) -> Result<(), CliError> {
        let settings = self.database.settings()?;
        let rotated = rotate(&settings.db, &settings.master_key()?, &Clock::machine())?;
        let new_key = rotated.new_key.display().to_string();
        let old_key = rotated.old_key.map(|file| file.display().to_string());
        let answer = json!({
            "key_id": rotated.new_id,
            "key_file": new_key,
            "old_key_file": old_key,
            "is_old_key_in_settings": rotated.is_set,
        });
        self.output.print(&answer, || {
            let secrets =
                format!("The secrets in {} are encrypted under the new key {}.", settings.db.display(), rotated.new_id);
            let place = match rotated.is_set {
                true => format!(
                    "It is in {new_key}: put it in place of the old key in your settings, and delete that file."
                ),
                false => format!("It is in {new_key}: keep a copy of that file in another place."),
            };
            let backups = match old_key {
                Some(file) => format!("Backups from before need the old key, which is in {file} now."),
                None => "Backups from before need the old key.".to_owned(),
            };
            [secrets, place, backups].join("\n")
        })
    }
}
