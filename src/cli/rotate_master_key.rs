//! `hookpost rotate-master-key`: encrypts the secrets in a database under a new key.

use clap::Args;

use super::CliError;
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
}

impl RotateMasterKey {
    pub(super) fn run(self) -> Result<(), CliError> {
        let settings = self.database.settings()?;
        let rotated = rotate(&settings.db, &settings.master_key()?, &Clock::machine())?;
        println!("The secrets in {} are encrypted under the new key {}.", settings.db.display(), rotated.new_id);
        let new_key = rotated.new_key.display();
        if rotated.is_set {
            println!("It is in {new_key}: put it in place of the old key in your settings, and delete that file.");
        } else {
            println!("It is in {new_key}: keep a copy of that file in another place.");
        }
        match rotated.old_key {
            Some(file) => println!("Backups from before need the old key, which is in {} now.", file.display()),
            None => println!("Backups from before need the old key."),
        }
        Ok(())
    }
}
