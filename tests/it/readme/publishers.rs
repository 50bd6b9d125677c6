//! Code that publishes, in each language.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookpost::profile::snippet::Language;

use super::blocks::{Block, blocks, blocks_for, holds, read};
use super::world::World;
use crate::support::process::stdout;
use crate::support::receiver::{Receiver, Reply};
use crate::support::skipped;

const DOCUMENT: &str = "docs/publishing.md";
/// If set, a missing runtime is a failure.
const REQUIRE_ALL: &str = "HOOKPOST_TEST_REQUIRE_SNIPPETS";

/// Names of a language: of its template, of its blocks, and the command that runs a file.
fn languages() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    use strum::VariantArray as _;
    let mut all = vec![("curl", "sh", vec!["sh", "FILE"])];
    all.extend(Language::VARIANTS.iter().map(|language| match language {
        Language::Node => ("node", "js", vec!["node", "FILE"]),
        Language::Python => ("python", "python", vec!["python3", "FILE"]),
        Language::Go => ("go", "go", vec!["go", "run", "FILE"]),
        Language::Php => ("php", "php", vec!["php", "FILE"]),
        Language::Ruby => ("ruby", "ruby", vec!["ruby", "FILE"]),
        // Needs crates, which a file does not have.
        Language::Rust => ("rust", "rust", vec![]),
    }));
    all
}

#[test]
fn the_document_has_the_code_that_the_setup_shows() {
    for (template, language, _) in languages() {
        let code = read(&format!("templates/onboarding/publish/{template}.txt"));
        holds(DOCUMENT, language, "publish", &code.replace("{{ url }}", "http://127.0.0.1:8080"));
    }
    assert_eq!(blocks_for(DOCUMENT, "publish").len(), languages().len() + 1, "and Java");
}

#[test]
fn the_code_of_each_language_publishes_once_however_often_it_runs() {
    let world = World::new();
    let key = world.serve();
    let found = blocks_for(DOCUMENT, "publish");
    for (name, language, command) in languages().into_iter().chain([("java", "java", vec!["java", "FILE"])]) {
        let block = found.iter().find(|block| block.language == language).unwrap();
        // Each language has its own event.
        let code = world.localized(&block.text).replace("content-1-published", &format!("{name}-published"));
        let file = format!("publish.{}", if language == "python" { "py" } else { language });
        std::fs::write(world.folder().join(&file), code).unwrap();
        let [program, arguments @ ..] = &command[..] else {
            skipped(REQUIRE_ALL, &format!("{name}: not run, because it needs packages"));
            continue;
        };
        for is_duplicate in ["false", "true"] {
            let arguments = arguments.iter().map(|argument| argument.replace("FILE", &file));
            let ran = match world.command(program).args(arguments).env("HOOKPOST_KEY", &key).output() {
                Err(_) => {
                    skipped(REQUIRE_ALL, &format!("{name}: {program} is not installed"));
                    break;
                }
                Ok(ran) => ran,
            };
            assert!(ran.status.success(), "{name}: {ran:?}");
            let said = stdout(&ran).to_lowercase();
            let value = said.split("duplicate").nth(1).unwrap_or_default();
            assert!(
                value.trim_start_matches(|c: char| !c.is_alphanumeric()).starts_with(is_duplicate),
                "{name}: {said}"
            );
        }
    }
}

/// A number of failures, then success: the code repeats a call that may succeed, and no other.
#[test]
fn the_code_of_each_language_repeats_a_refused_call_only_if_it_may_succeed() {
    for (status, requests) in [(503, 2), (422, 1)] {
        let found = blocks_for(DOCUMENT, "publish");
        for (language, program) in [("js", "node"), ("python", "python3"), ("java", "java")] {
            let receiver = Receiver::with({
                let count = AtomicUsize::new(0);
                move |_| match count.fetch_add(1, Ordering::SeqCst) {
                    0 => Reply::status(status),
                    _ => Reply::status(202).body("{}"),
                }
            });
            let block = found.iter().find(|block| block.language == language).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join(format!("publish.{language}"));
            let origin = receiver.url().trim_end_matches('/').to_owned();
            std::fs::write(&file, block.text.replace("http://127.0.0.1:8080", &origin)).unwrap();
            let Ok(ran) = Command::new(program).arg(&file).env("HOOKPOST_KEY", "k").output() else {
                skipped(REQUIRE_ALL, &format!("{program} is not installed"));
                continue;
            };
            assert_eq!(ran.status.success(), status == 503, "{language} after {status}: {ran:?}");
            assert_eq!(receiver.hits(), requests, "{language} after {status}");
        }
    }
}

#[test]
fn the_other_commands_of_the_document_work() {
    let world = World::new();
    let key = world.serve();
    let others: Vec<Block> = blocks(DOCUMENT).into_iter().filter(|block| block.purpose.is_empty()).collect();
    assert_eq!(others.len(), 1);
    for block in others {
        let said = world.run(&format!("HOOKPOST_KEY={key}\n{}", block.text));
        assert!(said.contains("content-3-published"), "{said}");
    }
}
