//! Code that publishes an event, ready to paste.

use askama::Template;
use strum::VariantArray as _;

use crate::profile::snippet::Language;

/// `None`: curl.
#[derive(Template)]
#[template(path = "onboarding/publish/code.txt", escape = "none")]
struct Code<'a> {
    language: Option<Language>,
    /// URL of the server.
    url: &'a str,
}

/// Code in one language. It reads the key from `HOOKPOST_KEY`, gives the event an id, which makes repeating safe, and
/// repeats after failures that may pass.
pub struct PublishCode {
    /// Id of the block on the page.
    pub id: &'static str,
    pub label: &'static str,
    pub code: String,
}

/// Returns the code in every language, curl first.
pub fn code(url: &str) -> Vec<PublishCode> {
    let languages = std::iter::once(None).chain(Language::VARIANTS.iter().copied().map(Some));
    let code = |language: Option<Language>| PublishCode {
        id: language.map_or("curl", Language::into),
        label: language.map_or("curl", Language::label),
        code: Code { language, url }.render().expect("writing to a string does not fail") + "\n",
    };
    languages.map(code).collect()
}
