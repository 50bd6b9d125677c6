//! Commands.

use std::process::Stdio;

use super::blocks::{Block, blocks, read};
use super::world::World;
use crate::support::process::{hookpost, run, stderr, stdout};

fn is_shell(block: &&Block) -> bool {
    block.language == "sh"
}

/// Commands of a document's section, or of the whole document.
fn script(document: &str, heading: Option<&str>) -> String {
    let blocks = blocks(document);
    let chosen = blocks.iter().filter(is_shell).filter(|block| heading.is_none_or(|heading| block.heading == heading));
    let script: String = chosen.map(|block| block.text.as_str()).collect();
    assert!(!script.is_empty(), "{document} {heading:?} has no commands");
    script
}

/// Creates a key for looking at the result.
fn key(world: &World) -> String {
    world.run("hookpost keys create --name looking --scope admin").trim().to_owned()
}

#[test]
fn the_quick_start_of_the_readme_ends_with_a_delivered_event() {
    let world = World::new();
    let said = world.run(&script("README.md", Some("Quick start")));
    assert!(said.contains("\"webhook_id\""), "{said}");
    let key = key(&world);
    assert_eq!(world.statuses(&key), ["delivered"]);
    let webhooks = world.get(&key, "/v1/webhooks");
    assert!(webhooks["data"][0]["url"].as_str().unwrap().starts_with(&format!("{}/in/", world.url())), "{webhooks}");
}

#[test]
fn the_other_commands_of_the_readme_do_what_it_says() {
    let world = World::new();
    world.run(&script("README.md", Some("Replace a webhook system")));
    let key = key(&world);
    let keys = world.get(&key, "/v1/api-keys")["data"].clone();
    assert_eq!(keys.as_array().unwrap().iter().filter(|key| key["profile"] == "iverton").count(), 1, "{keys}");
    let settings = world.run("hookpost serve --default-profile irisync --print-config");
    assert!(settings.contains("irisync"), "{settings}");

    let world = World::new();
    world.run(&script("README.md", Some("Try it first")));
    let demo = std::fs::read_to_string(world.folder().join("demo.out")).unwrap();
    assert!(demo.contains("/demo?token="), "{demo}");
    let key = self::key(&world);
    assert_eq!(world.get(&key, "/v1/webhooks")["data"].as_array().unwrap().len(), 13, "webhooks of the example");
}

#[test]
fn each_section_of_the_readme_with_commands_is_run() {
    let headings: Vec<String> =
        blocks("README.md").iter().filter(is_shell).map(|block| block.heading.clone()).collect();
    assert_eq!(headings, ["Quick start", "Quick start", "Replace a webhook system", "Try it first", "Try it first"]);
}

#[test]
fn the_readme_lists_every_command_with_its_flags() {
    let readme = read("README.md");
    let (_, list) = readme.split_once("## Commands\n\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let mut listed = Vec::new();
    for line in list.lines() {
        let (commands, _) = line.split_once('#').unwrap_or_else(|| panic!("{line}"));
        for command in commands.split(" / ") {
            let words: Vec<&str> = command.split_whitespace().skip_while(|word| *word == "hookpost").collect();
            let is_subcommand = |word: &&&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            let mut path: Vec<&str> = words.iter().take_while(is_subcommand).copied().collect();
            path.retain(|word| !word.starts_with('-'));
            let help = run(hookpost(&[&path[..], &["--help"]].concat()));
            assert!(help.status.success(), "{command}: {}", stderr(&help));
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(stdout(&help).contains(flag), "{command}: no {flag}");
            }
            listed.push(path[0].to_owned());
        }
    }
    let help = stdout(&run(hookpost(&["--help"])));
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| line.starts_with("  "));
    let names = commands.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    for name in names.filter(|name| !["help", "example-db"].contains(name)) {
        assert!(listed.iter().any(|listed| listed == name), "README.md does not list {name}");
    }
}

/// Returns the commands below a path, each as its words.
fn commands_below(path: &[String]) -> Vec<Vec<String>> {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    let help = stdout(&run(hookpost(&[&words[..], &["--help"]].concat())));
    let Some((_, list)) = help.split_once("Commands:\n") else { return vec![path.to_vec()] };
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()));
    let names = names.filter(|name| *name != "help");
    names.flat_map(|name| commands_below(&[path, &[name.to_owned()]].concat())).collect()
}

#[test]
fn the_reference_of_the_command_line_lists_every_command_and_its_commands_run() {
    let document = read("docs/command-line.md");
    let commands = commands_below(&[]);
    assert!(commands.len() > 30, "{commands:?}");
    for words in commands {
        let command = words.join(" ");
        let is_listed = [format!("`{command}`"), format!("`{command} ")].iter().any(|name| document.contains(name));
        assert!(is_listed, "docs/command-line.md does not list {command}");
    }
    let world = World::new();
    world.run("hookpost serve");
    let said = world.run(&script("docs/command-line.md", None));
    assert!(said.starts_with("ID "), "{said}");
}

#[test]
fn the_quick_start_of_the_documents_ends_with_verified_deliveries() {
    let world = World::new();
    world.run(&script("docs/quick-start.md", None));
    let key = key(&world);
    // One event to the inbox; then one to the inbox and the receiver.
    assert_eq!(world.statuses(&key), ["delivered"; 3]);
    let heard = std::fs::read_to_string(world.folder().join("listen.out")).unwrap();
    assert!(heard.contains("POST / verified (X-Webhook-Signature)"), "{heard}");
}

#[test]
fn the_commands_of_each_replaced_system_start_a_server_with_its_profile() {
    for name in ["generic", "irisync", "iverton", "socialsyncer", "influship"] {
        let world = World::new();
        world.run(&script(&format!("docs/{name}.md"), None));
        let key = key(&world);
        let inbox = world.post(&key, "/v1/inbox", &serde_json::json!({}))["url"].clone();
        let webhook = world.post(&key, "/v1/webhooks", &serde_json::json!({"url": inbox, "events": ["*"]}));
        assert_eq!((&webhook["profile"], &webhook["state"]), (&name.into(), &"active".into()), "{webhook}");
    }
}

#[test]
fn the_commands_of_the_recipes_do_what_they_say() {
    let world = World::new();
    let mut blocks = blocks("docs/recipes.md");
    // The others use the server of this one, and its database.
    blocks.sort_by_key(|block| block.purpose != "ci");
    for block in blocks {
        match (block.language.as_str(), block.purpose.as_str()) {
            ("sh", "ci") => drop(world.run(&block.text)),
            ("sh", "deploy") | ("crontab", _) => {
                let key = world.run("hookpost keys create --db ci.db --name job --scope publish");
                let line = block.text.trim_start_matches("0 3 * * * ").replace("\\%", "%");
                let line = line.replace("/usr/local/bin/nightly-report", "true");
                let script = world.localized(&format!("export HOOKPOST_KEY={key}\n{line}"));
                for is_duplicate in [false, true] {
                    let ran = world.command("sh").args(["-euc", &script]).stderr(Stdio::inherit()).output().unwrap();
                    let said = stdout(&ran);
                    assert!(ran.status.success(), "{script}");
                    assert_eq!(said.contains("was published before"), is_duplicate, "{said}");
                }
            }
            ("python" | "sql", _) => {}
            other => panic!("{other:?} is not tested"),
        }
    }
}
