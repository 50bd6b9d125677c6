//! Code that publishes, in each language.

use hookpost::profile::snippet::Language;

use super::blocks::{Block, blocks, blocks_for, holds, read};
use super::world::World;
use crate::support::process::stdout;
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
    assert_eq!(blocks_for(DOCUMENT, "publish").len(), languages().len());
}

#[test]
fn the_code_of_each_language_publishes_once_however_often_it_runs() {
    let world = World::new();
    let key = world.serve();
    let found = blocks_for(DOCUMENT, "publish");
    for (name, language, command) in languages() {
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
