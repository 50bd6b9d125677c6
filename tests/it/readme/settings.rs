//! The table of docs/settings.md, compared with the settings of the program.

use std::fs;

use super::blocks::{blocks, read};
use crate::support::process::{Site, hookpost, run, stderr, stdout};

/// Rows of the table, as their cells.
fn rows() -> Vec<Vec<String>> {
    let text = read("docs/settings.md");
    let (_, table) = text.split_once("## All settings").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `--"));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// First cells of the row of a setting: flag, variable, default, and what SIGHUP does.
fn facts(setting: &clap::Arg) -> Vec<String> {
    let name = setting.get_long().unwrap();
    let variable = setting.get_env().unwrap().to_str().unwrap();
    assert_eq!(variable, format!("HOOKPOST_{}", name.to_ascii_uppercase().replace('-', "_")));
    let default = match setting.get_default_values().first() {
        Some(text) => format!("`{}`", text.to_str().unwrap()),
        None if name == "master-key-file" => "`<db>.key`".to_owned(),
        None => String::new(),
    };
    let hangup = if hookpost::config::Settings::is_reread(name) { "reread" } else { "restart" };
    vec![format!("`--{name}`"), format!("`{variable}`"), default, hangup.to_owned()]
}

#[test]
fn the_table_of_settings_has_each_setting_in_order_with_its_default() {
    let listed: Vec<Vec<String>> = rows().into_iter().map(|cells| cells[..4].to_vec()).collect();
    let known: Vec<Vec<String>> = hookpost::config::Settings::command().get_arguments().map(facts).collect();
    for setting in &known {
        assert!(listed.contains(setting), "docs/settings.md has no row that begins with {setting:?}");
    }
    assert_eq!(listed, known, "docs/settings.md has rows of no setting, twice, or in another order than the help");
}

#[test]
fn the_settings_file_of_the_document_is_accepted() {
    let site = Site::new();
    let file = site.folder().join("hookpost.toml");
    for block in blocks("docs/settings.md").iter().filter(|block| block.language == "toml") {
        fs::write(&file, &block.text).unwrap();
        let output = run(hookpost(&["serve", "--print-config", "--config", file.to_str().unwrap()]));
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stdout(&output).matches("# file").count(), block.text.lines().count());
    }
}
