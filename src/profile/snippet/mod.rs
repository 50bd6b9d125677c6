//! Verification code for the receiver of a profile's deliveries, ready to paste.
//!
//! `templates/snippets/` has one template per language, filled in from the profile. Nothing here refers to a profile by
//! name.

mod choice;
mod literal;

use askama::Template;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::spec::{Encoding, Key, Profile};
use crate::domain::Invalid;
use crate::profile::body_format::{Body, Envelope, Value};
use choice::{Check, SignaturePosition};

/// Programming language of a snippet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Language>)]
pub enum Language {
    Node,
    Python,
    Go,
    Php,
    Ruby,
    Rust,
}

impl Language {
    /// Name for a tab or a heading.
    pub fn label(self) -> &'static str {
        match self {
            Language::Node => "Node.js",
            Language::Python => "Python",
            Language::Go => "Go",
            Language::Php => "PHP",
            Language::Ruby => "Ruby",
            Language::Rust => "Rust",
        }
    }
}

/// Code that verifies deliveries, with the facts that its reader needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    pub language: Language,
    pub code: String,
    /// Header that the code reads.
    pub header: String,
    pub credential: Credential,
    pub note: Option<&'static str>,
}

/// Key that the code reads from an environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// The webhook's `secret`, in `WEBHOOK_SECRET`.
    Secret,
    /// The webhook's `standard_secret`, in `WEBHOOK_SECRET`.
    StandardSecret,
    /// The webhook's `public_key`, in `WEBHOOK_PUBLIC_KEY`.
    PublicKey,
}

/// Returns code for the profile's only signature. If the profile has several, none, or one that a receiver cannot check,
/// the code checks the Standard Webhooks signature, or without `standard_headers` the first that can be checked. `None`
/// if there is none.
pub fn snippet(profile: &Profile, standard_headers: bool, language: Language) -> Option<Snippet> {
    let check = choice::choose(profile, standard_headers)?;
    let credential = match check.spec.key {
        Key::Secret => Credential::Secret,
        Key::Standard => Credential::StandardSecret,
    };
    Some(render(&check, credential, profile, language))
}

/// Returns code for the Ed25519 signatures of a webhook.
pub fn ed25519_snippet(profile: &Profile, language: Language) -> Snippet {
    let check = Check::standard().expect("the standard signature can be checked");
    render(&check, Credential::PublicKey, profile, language)
}

fn render(check: &Check, credential: Credential, profile: &Profile, language: Language) -> Snippet {
    let code = Code { ed25519: credential == Credential::PublicKey, ..Code::new(check, profile, language) };
    Snippet {
        language,
        code: code.render().expect("writing to a string does not fail") + "\n",
        header: check.spec.header.clone(),
        credential,
        note: (profile.spec().body == Body::Ecmascript).then_some(
            "Bodies of this profile are serialized as JavaScript does: JSON.stringify of the parsed body verifies as well as \
             the raw body.",
        ),
    }
}

/// Facts that the templates are filled with. Texts are literals and expressions of the language.
#[derive(Template)]
#[template(path = "snippets/code.txt", escape = "none")]
struct Code<'a> {
    language: Language,
    /// Whether the code verifies Ed25519 signatures.
    ed25519: bool,
    /// Whether the key is the decoded `standard_secret`, not the bytes of the secret.
    standard: bool,
    hex: bool,
    timestamp: bool,
    ecmascript: bool,
    position: &'a SignaturePosition,
    header: String,
    id_header: Option<String>,
    timestamp_header: Option<String>,
    join: Option<String>,
    prefix: Option<String>,
    pattern: String,
    groups: &'static str,
    rust_parts: String,
    signed: String,
    challenge: Option<Challenge>,
}

struct Challenge {
    /// Field of the envelope with the event type, if the envelope has one.
    type_field: Option<String>,
    event: String,
    field: String,
}

impl<'a> Code<'a> {
    fn new(check: &'a Check, profile: &Profile, language: Language) -> Code<'a> {
        let spec = &check.spec;
        let text = |text: &str| literal::text(language, text);
        let header = |name: &str| literal::header(language, name);
        let type_field = match &profile.spec().envelope {
            Some(Envelope::Fields(fields)) => fields.iter().find(|field| field.value == Value::Type),
            _ => None,
        };
        Code {
            language,
            ed25519: false,
            standard: spec.key == Key::Standard,
            hex: spec.encoding == Encoding::Hex,
            timestamp: spec.content.contains("{timestamp}"),
            ecmascript: profile.spec().body == Body::Ecmascript,
            position: &check.place,
            header: header(&spec.header),
            id_header: check.id_header.as_deref().map(header),
            timestamp_header: check.timestamp_header.as_deref().map(header),
            join: spec.join.as_deref().map(text),
            prefix: check.prefix.as_deref().map(text),
            pattern: literal::pattern(language, &check.place),
            groups: literal::groups(language, &check.place),
            rust_parts: literal::rust_parts(&check.place),
            signed: literal::signed(language, check),
            challenge: profile.spec().challenge.as_ref().map(|challenge| Challenge {
                type_field: type_field.map(|field| text(&field.name)),
                event: text(&challenge.event),
                field: text(&challenge.field),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
