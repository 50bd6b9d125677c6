//! How deliveries look: the envelope, the signatures, the headers, the retry schedule.
//!
//! A profile is data. The built-in ones are the files of `builtin/`, embedded in the binary; nothing in the
//! code knows one by name but the two defaults below. A custom one is the same JSON, from the API.
//!
//! Reading order: `spec` (what a profile can say), `form` (how a body is composed), `sign` (headers and
//! signatures of one attempt), `verify` (the other side).

pub mod body_format;
pub mod ecmascript;
pub mod sign;
pub mod snippet;
pub mod spec;
pub mod verify;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use include_dir::{Dir, include_dir};

pub use crate::profile::body_format::BodyFormat;
pub use sign::Signer;
pub use spec::{Profile, ProfileSpec};

/// The profile of a webhook where neither the request, nor the key, nor the server names one.
pub const DEFAULT: &str = "generic";

/// The profile whose headers every delivery carries beside its own, whatever its profile is
/// (Standard Webhooks 1.0.0).
pub const STANDARD: &str = "standard";

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/profile/builtin");

static BUILTIN: LazyLock<BTreeMap<String, Arc<Profile>>> = LazyLock::new(|| {
    FILES
        .files()
        .map(|file| {
            let path = file.path().display();
            let spec: ProfileSpec = serde_json::from_slice(file.contents())
                .unwrap_or_else(|error| unreachable!("built-in profile {path}: {error}"));
            let profile =
                Profile::parse(spec).unwrap_or_else(|invalid| unreachable!("built-in profile {path}: {invalid}"));
            (profile.name().to_owned(), Arc::new(profile))
        })
        .collect()
});

/// The built-in profiles by name.
pub fn builtin() -> &'static BTreeMap<String, Arc<Profile>> {
    &BUILTIN
}

/// The built-in profile of that name.
pub fn find(name: &str) -> Option<Arc<Profile>> {
    BUILTIN.get(name).cloned()
}

/// The profile whose headers every delivery carries.
pub fn standard() -> Arc<Profile> {
    find(STANDARD).expect("the standard profile is built in")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_is_valid_and_named_as_its_file() {
        for file in FILES.files() {
            let spec: ProfileSpec = serde_json::from_slice(file.contents()).unwrap();
            let profile = Profile::parse(spec).unwrap();
            assert_eq!(format!("{}.json", profile.name()), file.path().to_str().unwrap());
        }
        assert!(find(DEFAULT).is_some());
        assert!(find(STANDARD).is_some());
    }
}
