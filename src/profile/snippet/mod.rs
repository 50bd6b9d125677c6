//! Verification code for the receiver of a profile's deliveries, ready to paste.
//!
//! The code is a template for each language (`snippets/`) and what the profile says: nothing here knows a profile by name.
//! A line of a template that begins with `@` and words joined by `+` is there only where all of them hold; `{{word}}` is
//! replaced.

mod choice;
mod literal;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::spec::{Encoding, Key, Profile};
use crate::domain::Invalid;
use crate::profile::body_format::{Body, Envelope, Value};
use choice::{Check, SignaturePosition};

/// What the code is written in.
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
    /// For a tab or a heading.
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

    fn template(self) -> &'static str {
        match self {
            Language::Node => include_str!("../snippets/node.template"),
            Language::Python => include_str!("../snippets/python.template"),
            Language::Go => include_str!("../snippets/go.template"),
            Language::Php => include_str!("../snippets/php.template"),
            Language::Ruby => include_str!("../snippets/ruby.template"),
            Language::Rust => include_str!("../snippets/rust.template"),
        }
    }
}

/// Code that verifies deliveries, and what its reader has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    pub language: Language,
    pub code: String,
    /// The header that it reads.
    pub header: String,
    /// What belongs into `WEBHOOK_SECRET`: `Standard` is the webhook's `standard_secret`, `Secret` its `secret`.
    pub secret: Key,
    /// What is worth knowing beside the code.
    pub note: Option<&'static str>,
}

/// Code for the profile's one signature, or for that of Standard Webhooks where it has several, none, or one that a
/// receiver cannot check. `standard_headers` says whether the webhook's deliveries carry those headers; without them the
/// first signature is taken. `None` where nothing is signed that could be checked.
pub fn snippet(profile: &Profile, standard_headers: bool, language: Language) -> Option<Snippet> {
    let check = choice::choose(profile, standard_headers)?;
    let code = Filler::new(&check, profile, language).fill(language.template());
    Some(Snippet {
        language,
        code,
        header: check.spec.header.clone(),
        secret: check.spec.key,
        note: (profile.spec().body == Body::Ecmascript).then_some(
            "Bodies of this profile are spelled as JavaScript prints them: JSON.stringify of the parsed body verifies as well \
             as the raw body.",
        ),
    })
}

/// What a template's words and placeholders stand for.
struct Filler<'a> {
    check: &'a Check,
    language: Language,
    flags: Vec<&'static str>,
    /// The field that says what an event is, where the envelope has one, and the challenge.
    challenge: Option<(Option<String>, String, String)>,
}

impl<'a> Filler<'a> {
    fn new(check: &'a Check, profile: &Profile, language: Language) -> Filler<'a> {
        let spec = &check.spec;
        let challenge = profile.spec().challenge.as_ref().map(|challenge| {
            let type_field = match &profile.form().envelope {
                Envelope::Fields(fields) => fields.iter().find(|field| field.value == Value::Type),
                Envelope::DataAlone => None,
            };
            let type_field = type_field.map(|field| field.name.clone());
            (type_field, challenge.event.clone(), challenge.field.clone())
        });
        let matched = check.place != SignaturePosition::Whole;
        let conditions = [
            ("own", spec.key == Key::Secret),
            ("standard", spec.key == Key::Standard),
            ("hex", spec.encoding == Encoding::Hex),
            ("base64", spec.encoding == Encoding::Base64),
            ("with_base64", spec.encoding == Encoding::Base64 || spec.key == Key::Standard),
            ("bare", !matched),
            ("matched", matched),
            ("one", spec.join.is_none()),
            ("many", spec.join.is_some()),
            ("strings", spec.join.is_some() || spec.key == Key::Standard),
            ("id", spec.content.contains("{id}")),
            ("timestamp", spec.content.contains("{timestamp}")),
            ("in_header", check.timestamp_header.is_some()),
            ("exact", profile.spec().body == Body::Exact),
            ("ecmascript", profile.spec().body == Body::Ecmascript),
            ("challenge", challenge.is_some()),
        ];
        let flags = conditions.into_iter().filter(|(_, holds)| *holds);
        Filler { check, language, flags: flags.map(|(flag, _)| flag).collect(), challenge }
    }

    fn fill(&self, template: &str) -> String {
        let mut code = String::with_capacity(template.len());
        for line in template.lines() {
            let line = match line.strip_prefix('@') {
                None => line,
                Some(conditional) => {
                    let (words, line) = conditional.split_once(' ').unwrap_or((conditional, ""));
                    if !words.split('+').all(|word| self.flags.contains(&word)) {
                        continue;
                    }
                    line
                }
            };
            self.fill_line(&mut code, line);
            code.push('\n');
        }
        code
    }

    fn fill_line(&self, code: &mut String, line: &str) {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("{{") {
            // `{{{word}}` is a brace of the language and a placeholder.
            let (brace, after) = match after.strip_prefix('{') {
                Some(after) => ("{", after),
                None => ("", after),
            };
            let Some((word, after)) = after.split_once("}}") else {
                break;
            };
            code.push_str(before);
            code.push_str(brace);
            code.push_str(&self.value(word));
            rest = after;
        }
        code.push_str(rest);
    }

    fn value(&self, word: &str) -> String {
        let spec = &self.check.spec;
        let text = |text: &str| literal::text(self.language, text);
        let header = |name: Option<&str>| literal::header(self.language, name.unwrap_or_default());
        match word {
            "header" => header(Some(&spec.header)),
            "id_header" => header(self.check.id_header.as_deref()),
            "timestamp_header" => header(self.check.timestamp_header.as_deref()),
            "join" => text(spec.join.as_deref().unwrap_or_default()),
            "encoding" => match spec.encoding {
                Encoding::Hex => "hex".to_owned(),
                Encoding::Base64 => "base64".to_owned(),
            },
            "encode" => match spec.encoding {
                Encoding::Hex => "hex.EncodeToString".to_owned(),
                Encoding::Base64 => "base64.StdEncoding.EncodeToString".to_owned(),
            },
            "decode" => match spec.encoding {
                Encoding::Hex => "hex::decode".to_owned(),
                Encoding::Base64 => "STANDARD.decode".to_owned(),
            },
            "imports" => self.python_imports(),
            "keys" => self.keys().to_owned(),
            "pattern" => literal::pattern(self.language, &self.check.place),
            "groups" => literal::groups(self.language, &self.check.place).to_owned(),
            "captures" => match self.check.place {
                SignaturePosition::Cut { .. } => "parts[1]".to_owned(),
                _ => "parts.captures".to_owned(),
            },
            "parts" => literal::rust_parts(&self.check.place),
            "signed" => literal::signed(self.language, self.check),
            "challenge" => text(&self.challenge_parts().2),
            "challenge_test" => self.challenge_test(),
            "challenge_words" => match self.challenge_parts() {
                (Some(field), event, challenge) => {
                    format!("the {field:?} {event:?} and a {challenge:?}")
                }
                (None, _, challenge) => format!("a {challenge:?}"),
            },
            other => unreachable!("a template asks for {other}"),
        }
    }

    fn python_imports(&self) -> String {
        let has = |flag| self.flags.contains(&flag);
        let modules = [
            ("base64", has("with_base64")),
            ("hashlib, hmac, json, os", true),
            ("re", has("matched") || has("timestamp")),
            ("time", has("timestamp")),
        ];
        let wanted = modules.into_iter().filter(|(_, wanted)| *wanted);
        wanted.map(|(module, _)| module).collect::<Vec<_>>().join(", ")
    }

    fn keys(&self) -> &'static str {
        match (self.language, self.check.spec.key) {
            (Language::Ruby, Key::Secret) => "SECRETS",
            (Language::Ruby, Key::Standard) => "KEYS",
            (Language::Php, Key::Secret) => "$secrets",
            (Language::Php, Key::Standard) => "$keys",
            (_, Key::Secret) => "secrets",
            (_, Key::Standard) => "keys",
        }
    }

    fn challenge_parts(&self) -> (Option<String>, String, String) {
        self.challenge.clone().unwrap_or_default()
    }

    /// Whether a parsed body is the challenge.
    fn challenge_test(&self) -> String {
        let (field, event, challenge) = self.challenge_parts();
        let text = |of: &str| literal::text(self.language, of);
        let (challenge, event) = (text(&challenge), text(&event));
        match (field.as_deref().map(text), self.language) {
            (Some(field), Language::Node) => format!("[{field}] === {event}"),
            (None, Language::Node) => format!("[{challenge}] !== undefined"),
            (Some(field), Language::Python) => format!("event.get({field}) == {event}"),
            (None, Language::Python) => format!("{challenge} in event"),
            (Some(field), Language::Php) => format!("($event[{field}] ?? null) === {event}"),
            (None, Language::Php) => format!("isset($event[{challenge}])"),
            (Some(field), _) => format!("event[{field}] == {event}"),
            (None, _) => format!("event[{challenge}] != nil"),
        }
    }
}

#[cfg(test)]
mod tests;
