//! Profiles: the envelope, signatures, headers and retry schedule of deliveries.
//!
//! A profile is data: a file of `builtin/`, embedded in the binary, or the same JSON from the API. The code refers to
//! two profiles by name, the defaults below.
//!
//! Reading order: `spec` (fields of a profile), `body_format` (composing a body), `sign` (headers and signatures of an
//! attempt), `ed25519` (asymmetric signatures), `verify` (the receiver's side).

pub mod body_format;
pub mod ecmascript;
pub mod ed25519;
pub mod endpoint;
pub mod sign;
pub mod snippet;
pub mod spec;
pub mod template;
pub mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use include_dir::{Dir, include_dir};

use crate::domain::header::MASK;

pub use crate::profile::body_format::BodyFormat;
pub use sign::Signer;
pub use spec::{Profile, ProfileSpec};

/// Profile of a webhook if neither the request, nor the key, nor the server names one.
pub const DEFAULT: &str = "generic";

/// Profile whose headers every delivery carries in addition to its own (Standard Webhooks 1.0.0).
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

/// Built-in profiles by name.
pub fn builtin() -> &'static BTreeMap<String, Arc<Profile>> {
    &BUILTIN
}

/// Returns the built-in profile with a name.
pub fn find(name: &str) -> Option<Arc<Profile>> {
    BUILTIN.get(name).cloned()
}

/// Returns the profile [`STANDARD`].
pub fn standard() -> Arc<Profile> {
    find(STANDARD).expect("the standard profile is built in")
}

/// Type and data of a profile's example event, or of one for all profiles without.
pub fn example_parts(profile: Option<&Profile>) -> (String, String, Option<String>) {
    let Some(example) = profile.and_then(|profile| profile.spec().example.as_ref()) else {
        return ("content.published".to_owned(), serde_json::json!({"id": 42, "title": "Hello"}).to_string(), None);
    };
    (example.event_type.clone(), example.data.to_string(), example.previous_data.as_ref().map(ToString::to_string))
}

/// Names of the headers with signatures, of any profile.
pub struct SignatureHeaders(BTreeSet<String>);

impl SignatureHeaders {
    pub fn of<'a>(profiles: impl IntoIterator<Item = &'a Profile>) -> SignatureHeaders {
        let names = profiles.into_iter().flat_map(|profile| &profile.spec().signatures);
        SignatureHeaders(names.map(|signature| signature.header.to_ascii_lowercase()).collect())
    }

    /// Replaces signatures by a mask. The header of a profile that was changed since is known by its name.
    pub fn mask(&self, headers: &mut [(String, String)]) {
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            if self.0.contains(&name) || name.contains("signature") {
                MASK.clone_into(value);
            }
        }
    }
}

#[cfg(test)]
mod builtin_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_is_valid_and_named_as_its_file() {
        for file in FILES.files() {
            let spec: ProfileSpec = serde_json::from_slice(file.contents()).unwrap();
            let profile = Profile::parse(spec).unwrap();
            assert_eq!(format!("{}.json", profile.name()), file.path().to_str().unwrap());
            assert!(profile.spec().example.is_some(), "{}", profile.name());
        }
        assert!(find(DEFAULT).is_some());
        assert!(find(STANDARD).is_some());
    }
}
