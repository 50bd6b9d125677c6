//! Secrets from a setting, or from the file that its twin `<setting>_FILE` names, which other users of the machine cannot see.

use std::fs;
use std::path::{Path, PathBuf};

use super::{ConfigError, environment, environment_name};

/// Secrets that have a variable of their own and no flag, because others could read it in the list of processes.
pub(super) const VARIABLES: [&str; 2] = [MASTER_KEY, SMTP_PASSWORD];
pub(super) const MASTER_KEY: &str = "HOOKPOST_MASTER_KEY";
pub(super) const SMTP_PASSWORD: &str = "HOOKPOST_SMTP_PASSWORD";

/// Returns a secret from the variable `name`, or from the file that `<name>_FILE` names.
pub fn secret_from_environment(name: &str) -> Result<Option<String>, ConfigError> {
    let file = environment(&format!("{name}_FILE")).map(PathBuf::from);
    secret(name, environment(name), file.as_deref())
}

/// Returns the secret that is given, or the content of the file without its final line breaks. `variable` is the secret's.
pub(super) fn secret(
    variable: &str,
    given: Option<String>,
    file: Option<&Path>,
) -> Result<Option<String>, ConfigError> {
    match (given, file) {
        (Some(_), Some(file)) => Err(both(variable, &format!("{variable}_FILE"), file)),
        (given, None) => Ok(given),
        (None, Some(file)) => match fs::read_to_string(file) {
            Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => Err(ConfigError::UnreadableSecret(format!("{variable}_FILE"), file.to_owned(), error)),
        },
    }
}

/// Like [`secret`], for a setting whose value has been parsed. Its error names the file, never the content.
pub(super) fn parsed<T>(
    flag: &str,
    given: Option<T>,
    file: Option<&Path>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, ConfigError> {
    match (given, file) {
        (Some(_), Some(file)) => Err(both(&format!("--{flag}"), &format!("--{flag}-file"), file)),
        (given, None) => Ok(given),
        (None, Some(file)) => {
            let text = secret(&environment_name(flag), None, Some(file))?.unwrap_or_default();
            let parsed = parse(&text);
            let refuse =
                |reason| ConfigError::Invalid(format!("the content of {} (--{flag}-file) {reason}", file.display()));
            parsed.map(Some).map_err(refuse)
        }
    }
}

fn both(value: &str, twin: &str, file: &Path) -> ConfigError {
    ConfigError::Invalid(format!("{value} is set, and so is {twin} ({}). Unset one of them.", file.display()))
}
