//! Names of settings: which exist, and which one a misspelt name was meant to be.

use super::secrets::VARIABLES;
use super::{ConfigError, Settings, environment_name, environment_names};

/// Variables of the commands that use the API or sign, beside those of settings. Each secret has a twin with `_FILE`.
const OF_COMMANDS: [&str; 8] = [
    "HOOKPOST_CONFIG",
    "HOOKPOST_URL",
    "HOOKPOST_KEY",
    "HOOKPOST_KEY_FILE",
    "HOOKPOST_SECRET",
    "HOOKPOST_SECRET_FILE",
    "HOOKPOST_PASSWORD",
    "HOOKPOST_PASSWORD_FILE",
];
/// Variables of the project's own tests begin with this.
const OF_TESTS: &str = "HOOKPOST_TEST_";
/// Similarity from which on a name is taken for a misspelling of another one.
const ALIKE: f64 = 0.75;

/// Variables that no setting has.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    /// Misspellings of a known name: something was meant to be set, and is not.
    pub(super) misspelt: Vec<ConfigError>,
    /// Other names. Kubernetes and Compose put variables of their own beside those of a program, such as
    /// `HOOKPOST_SERVICE_HOST`, so they are no errors.
    pub(super) others: Vec<String>,
}

/// Returns warnings about variables that no setting has, and that are not errors.
pub fn ignored_variables() -> Vec<String> {
    unknown_variables().others
}

/// Returns the names of the environment that begin with `HOOKPOST_` and mean nothing.
pub(super) fn unknown_variables() -> Unknown {
    let settings = Settings::command();
    let flags = settings.get_arguments().filter_map(|arg| arg.get_long().map(environment_name));
    let known: Vec<String> = flags.chain(OF_COMMANDS.into_iter().chain(VARIABLES).map(str::to_owned)).collect();
    let mut unknown = Unknown::default();
    for name in environment_names() {
        let is_ours = name.starts_with("HOOKPOST_") && !name.starts_with(OF_TESTS);
        if !is_ours || known.contains(&name) {
            continue;
        }
        match nearest(&name, known.iter().map(String::as_str), "HOOKPOST_".len()) {
            Some((near, likeness)) if likeness >= ALIKE => {
                unknown.misspelt.push(ConfigError::Invalid(format!(
                    "no setting has the variable {name}. Did you mean {near}? Rename it, or unset it."
                )));
            }
            near => {
                let hint = near.map(|(near, _)| format!(" The nearest is {near}.")).unwrap_or_default();
                unknown.others.push(format!("no setting has the variable {name}, which is ignored.{hint}"));
            }
        }
    }
    unknown
}

/// Returns the setting that a key of the file is closest to.
pub(super) fn nearest_key(key: &str) -> String {
    let settings = Settings::command();
    let key = key.to_lowercase().replace('_', "-");
    let names = settings.get_arguments().filter_map(clap::Arg::get_long);
    nearest(&key, names, 0).map(|(near, _)| near.to_owned()).unwrap_or_default()
}

/// Returns the most similar name, compared from the position `from` on, and how similar it is, from 0 to 1.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>, from: usize) -> Option<(&'a str, f64)> {
    let rest = name.get(from..).unwrap_or_default();
    let likeness = |known: &'a str| (known, strsim::normalized_damerau_levenshtein(rest, &known[from..]));
    known.map(likeness).max_by(|a, b| a.1.total_cmp(&b.1))
}
