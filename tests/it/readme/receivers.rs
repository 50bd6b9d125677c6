//! Code that verifies deliveries, in each language, with really signed requests.

use hookpost::clock::Clock;
use hookpost::profile::snippet::{Language, snippet};
use hookpost::profile::{self};
use serde_json::json;

use super::blocks::{Block, blocks_for, holds};
use crate::profiles::snippets::Pasted;
use crate::profiles::{REQUIRE_PACKAGES, run};
use crate::support::{Hub, skipped};

const DOCUMENT: &str = "docs/verification.md";
/// If set, a missing runtime is a failure.
const REQUIRE_ALL: &str = "HOOKPOST_TEST_REQUIRE_SNIPPETS";

#[test]
fn the_guide_has_the_code_that_the_pages_show() {
    use strum::VariantArray as _;
    let standard = profile::standard();
    for language in Language::VARIANTS {
        let name = match language {
            Language::Node => "js",
            Language::Python => "python",
            Language::Go => "go",
            Language::Php => "php",
            Language::Ruby => "ruby",
            Language::Rust => "rust",
        };
        holds(DOCUMENT, name, "by-hand", &snippet(&standard, true, *language).unwrap().code);
    }
    assert_eq!(blocks_for(DOCUMENT, "by-hand").len(), Language::VARIANTS.len() + 1, "and Java");
}

/// Name of a file with the code, and the command that runs it.
fn command(language: &str) -> Option<(&'static str, &'static [&'static str])> {
    match language {
        "js" => Some(("receiver.js", &["node", "FILE"])),
        "python" => Some(("receiver.py", &["python3", "FILE"])),
        "php" => Some(("receiver.php", &["php", "-S", "ADDRESS", "FILE"])),
        "java" => Some(("Receiver.java", &["java", "FILE"])),
        "go" => Some(("receiver.go", &["go", "run", "FILE"])),
        _ => None,
    }
}

/// Runs a receiver, delivers events to it before, in and after a rotation, and checks that it rejects anything else.
fn judge(block: &Block) {
    let (language, purpose) = (&block.language, &block.purpose);
    let Some((file, words)) = command(language) else {
        return skipped(
            REQUIRE_ALL,
            &format!("{language} {purpose}: not run here, but by the tests of the pages' code"),
        );
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    std::fs::write(&path, &block.text).unwrap();
    let command: Vec<String> = words.iter().map(|word| word.replace("FILE", path.to_str().unwrap())).collect();
    let (old, new) =
        ("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "whsec_Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=");
    let Some([receiver]) = Pasted::start_each(&command, [[old, ""]], &format!("{language} {purpose}")) else {
        return skipped(REQUIRE_ALL, &format!("{language} {purpose}: {} is not installed", words[0]));
    };
    let hub = Hub::with(|options| options.clock = Clock::machine());
    let url = format!("http://127.0.0.1:{}/hook", receiver.port);
    let fields = json!({"secret": old, "profile": "generic", "retry": {"delays_s": [], "exhausted": "dead_letter"}});
    let webhook = hub.add_webhook_with(&url, &fields);
    let status = || {
        let delivery = hub.publish_one("content.published", json!({"text": "h\u{e9}llo 日本", "n": 1.0}));
        hub.deliver_until_idle();
        hub.delivery(&delivery)["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status(), "delivered", "{language} {purpose}");
    let rotation = format!("/v1/webhooks/{webhook}/secret/rotate");
    hub.post(&rotation, &json!({"secret": new})).expect(200);
    assert_eq!(status(), "delivered", "{language} {purpose}: in a rotation");
    hub.post(&rotation, &json!({"secret": new, "overlap_s": 0})).expect(200);
    assert_eq!(status(), "failed", "{language} {purpose}: with another secret");
    assert!(!receiver.accepts(&[], b"{}"), "{language} {purpose}: not signed");
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let odd = names.map(|name| (name.to_owned(), "\u{e9} v1, v1".to_owned()));
    assert!(!receiver.accepts(&odd, b"{}"), "{language} {purpose}: odd headers");
}

#[test]
fn the_code_without_a_library_takes_signed_deliveries_and_nothing_else() {
    for block in blocks_for(DOCUMENT, "by-hand") {
        judge(&block);
    }
}

#[test]
fn the_code_with_a_library_takes_signed_deliveries_and_nothing_else() {
    for block in blocks_for(DOCUMENT, "library") {
        let (program, probe) = match block.language.as_str() {
            "js" => ("node", ["-e", "try { require('standardwebhooks'); console.log('found') } catch {}"]),
            _ => ("python3", ["-c", "import importlib.util as i\nif i.find_spec('standardwebhooks'): print('found')"]),
        };
        if run(program, &probe, b"").is_some_and(|said| said.starts_with(b"found")) {
            judge(&block);
        } else {
            skipped(REQUIRE_PACKAGES, &format!("{program} does not find standardwebhooks"));
        }
    }
}
