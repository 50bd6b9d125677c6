//! Checks of the source and the documents: imports point down only, and some names are limited to some files.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the top down. Modules of one layer do not import each other.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["config"],
    &["server"],
    &["http"],
    &["auth"],
    &["actions"],
    &["delivery"],
    &["store"],
    &["text"],
    &["profile"],
    &["clock", "metrics", "random"],
    &["domain"],
];

/// Names that are limited to some files. Files are given as beginnings of paths below `src`.
const PLACES: &[(&[&str], &[&str])] = &[
    (&["rusqlite", "r2d2", "r2d2_sqlite"], &["store/"]),
    (&["ureq"], &["delivery/"]),
    (&["lettre"], &["delivery/mail/"]),
    (
        &["actix_web", "actix_rt", "actix_server"],
        &[
            "http/",
            "server.rs",
            "server/edge.rs",
            "server/listen.rs",
            "server/tls.rs",
            "cli/serve.rs",
            "cli/receiver.rs",
            "cli/demo/receivers.rs",
        ],
    ),
    (&["askama"], &["http/web/", "http/api/docs/", "profile/snippet/"]),
    // A route is registered together with its description: see `http/api/table.rs`.
    (
        &["ServiceConfig"],
        &["http/api/table.rs", "http/api/mod.rs", "http/web/", "http/inbox.rs", "http/security_txt.rs"],
    ),
    // `http::blocking` carries the request id to the other thread.
    (&["web::block"], &["http/mod.rs"]),
    (&["std::env", "env::var", "env::vars"], &["config.rs"]),
    (&["SystemTime::now"], &["clock.rs"]),
    // Nowhere: `expect` states why it cannot fail.
    (&[".unwrap()"], &[]),
];

#[test]
fn imports_point_down_only() {
    let sources = sources();
    // Tests of a module may use what is above it.
    let test_files = test_files(&sources);
    let wrong: Vec<String> = sources
        .iter()
        .filter(|(path, _)| !is_below(path, &test_files))
        .flat_map(|(path, text)| upward_imports(path, text))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_belongs_to_one_place_stays_there() {
    let sources = sources();
    let test_files = test_files(&sources);
    let wrong: Vec<String> = sources
        .iter()
        .filter(|(path, _)| !is_below(path, &test_files))
        .flat_map(|(path, text)| misplaced(path, without_tests(text)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_has_a_layer() {
    for (path, _) in sources() {
        let module = module_of(&path);
        assert!(
            module == "lib" || layer(module).is_some(),
            "{path} is in no layer: give it one here and in ARCHITECTURE.md"
        );
    }
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    for (path, text) in [
        ("store/event.rs", "use crate::delivery::Engine;"),
        ("store/event.rs", "use crate::{clock, delivery::Engine};"),
        ("store/event.rs", "use crate::{\n    clock::Clock,\n    http,\n};"),
        ("store/event.rs", "fn f() -> crate::actions::Actions {}"),
        ("store/event.rs", "use super::super::http::App;"),
        ("store/mod.rs", "use super::actions;"),
        ("domain/id.rs", "use crate::clock::Clock;"),
        ("clock.rs", "use crate::random;"),
        ("server.rs", "use crate::config::Settings;"),
        ("http/api/list.rs", "use crate::http::web::Page;"),
        ("http/web/list.rs", "use super::super::api::view;"),
    ] {
        assert_eq!(upward_imports(path, text).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        ("store/event.rs", "use crate::domain::{event::Event, time};"),
        ("store/event.rs", "use crate::store::row;\nuse super::page;"),
        ("store/event.rs", "// not crate::delivery::Engine"),
        ("store/event.rs", "use super::delivery;"),
        ("store/event.rs", "use crate::{clock::{Clock, http}, random};"),
        ("http/api/list.rs", "use super::super::error::ApiError;"),
        ("http/api/list.rs", "use super::view; use crate::http::api::view;"),
        ("config.rs", "use crate::server::ServerOptions;"),
    ] {
        assert_eq!(upward_imports(path, text), [""; 0], "{path}: {text}");
    }
}

#[test]
fn a_word_in_the_wrong_place_is_found() {
    for (path, text) in [
        ("actions/find.rs", "use rusqlite::Connection;"),
        ("http/mod.rs", "let agent = ureq::agent();"),
        ("store/mod.rs", "use actix_web::web;"),
        ("cli/keys.rs", "std::env::var(\"HOME\")"),
        ("domain/time.rs", "let now = SystemTime::now();"),
        ("store/mod.rs", "let a = b.unwrap();"),
    ] {
        assert_eq!(misplaced(path, text).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        ("store/mod.rs", "use rusqlite::Connection;"),
        ("http/mod.rs", "/// Unlike `ureq`."),
        ("http/mod.rs", "let my_rusqlite_like = 1;"),
        ("clock.rs", "SystemTime::now()"),
        ("cli/mod.rs", "env!(\"CARGO_PKG_VERSION\")"),
    ] {
        assert_eq!(misplaced(path, text), [""; 0], "{path}: {text}");
    }
}

/// Returns every file below `src` as its path and its text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap();
                found.push((name.to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 20, "the source is not where it was");
    found.sort();
    found
}

/// Returns the imports of a file from its own layer or a higher one.
fn upward_imports(path: &str, text: &str) -> Vec<String> {
    let own = module_of(path);
    // The root only declares the modules, and `main` uses the library.
    if own == "lib" {
        return Vec::new();
    }
    let text = without_comments(text);
    let own_layer = layer(own);
    let mut wrong = Vec::new();
    for import in imports(path, &text) {
        let target = import.split("::").next().unwrap_or_default();
        let is_wrong = match layer(target) {
            None => false,
            Some(_) if target == own => crosses_faces(path, &import),
            Some(target) => own_layer.is_none_or(|own| target <= own),
        };
        if is_wrong {
            wrong.push(format!("src/{path} uses crate::{import}"));
        }
    }
    wrong
}

/// Whether the API imports the pages or the pages import the API.
fn crosses_faces(path: &str, import: &str) -> bool {
    let faces = [("http/api/", "http::web"), ("http/web/", "http::api")];
    faces.iter().any(|(from, to)| path.starts_with(from) && import.starts_with(to))
}

/// Returns the paths that a file imports through `crate::` or `super::`, relative to the crate's root.
fn imports(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        if text[..at].ends_with(is_word) {
            continue;
        }
        found.extend(paths(&text[at + "crate::".len()..]));
    }
    let parents = parents(path);
    for (at, _) in text.match_indices("super::") {
        if text[..at].ends_with("super::") || text[..at].ends_with(is_word) {
            continue;
        }
        let mut rest = &text[at..];
        let mut climbed = 0;
        while let Some(further) = rest.strip_prefix("super::") {
            rest = further;
            climbed += 1;
        }
        if climbed > parents.len() {
            continue;
        }
        let base = &parents[..parents.len() - climbed];
        let names = paths(rest).into_iter().map(|name| {
            let parts = base.iter().copied().chain([name.as_str()]);
            parts.collect::<Vec<_>>().join("::")
        });
        found.extend(names);
    }
    found
}

/// Module path of a file, including its own name.
fn parents(path: &str) -> Vec<&str> {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    stem.strip_suffix("/mod").unwrap_or(stem).split('/').collect()
}

/// Parses the path, or the outermost list of paths in braces, after `crate::`.
fn paths(text: &str) -> Vec<String> {
    let Some(list) = text.strip_prefix('{') else {
        let end = text.find(|c: char| !is_word(c) && c != ':');
        let path = &text[..end.unwrap_or(text.len())];
        return vec![path.trim_end_matches(':').to_owned()];
    };
    let mut depth = 1;
    let mut parts = vec![String::new()];
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => parts.push(String::new()),
            _ if depth == 1 && !c.is_whitespace() => {
                parts.last_mut().unwrap().push(c);
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    parts.iter().flat_map(|part| paths(part)).collect()
}

/// Returns the names of [`PLACES`] that a file must not contain.
fn misplaced(path: &str, text: &str) -> Vec<String> {
    let text = without_comments(text);
    let mut wrong = Vec::new();
    for (words, places) in PLACES {
        if is_below(path, places) {
            continue;
        }
        let found = words.iter().find(|word| holds(&text, word));
        if let Some(word) = found {
            wrong.push(format!("src/{path} holds {word}"));
        }
    }
    wrong
}

fn holds(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let begins = !word.starts_with(is_word) || !text[..at].ends_with(is_word);
        begins && !text[at + word.len()..].starts_with(is_word)
    })
}

/// Files compiled for tests only, as beginnings of paths.
fn test_files(sources: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources {
        let folder = match path.strip_suffix("mod.rs") {
            Some(folder) => folder.to_owned(),
            None => format!("{}/", path.trim_end_matches(".rs")),
        };
        for (at, mark) in text.match_indices("#[cfg(test)]\nmod ") {
            let rest = &text[at + mark.len()..];
            let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
            if rest[name.len()..].starts_with(';') {
                found.push(format!("{folder}{name}.rs"));
                found.push(format!("{folder}{name}/"));
            }
        }
    }
    found
}

/// Text of a file without its tests, which come last.
fn without_tests(text: &str) -> &str {
    match text.find("#[cfg(test)]\nmod tests {") {
        Some(end) => &text[..end],
        None => text,
    }
}

fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| if line.trim_start().starts_with("//") { "\n".to_owned() } else { format!("{line}\n") })
        .collect()
}

fn is_below(path: &str, places: &[impl AsRef<str>]) -> bool {
    places.iter().any(|place| path.starts_with(place.as_ref()))
}

/// Top-level module of a file.
fn module_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Index of a module's layer; 0 is the top.
fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Extensions of files that the documents may name without their folder.
const ENDINGS: [&str; 9] = [".rs", ".md", ".html", ".json", ".toml", ".sql", ".css", ".js", ".py"];

/// Documents of the repository, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let files = [".", "docs"].into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = files.map(|entry| entry.unwrap().path()).filter(|path| path.extension() == Some("md".as_ref()));
    let found: Vec<_> = paths.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
    assert!(found.len() > 4, "{} documents", found.len());
    found
}

#[test]
fn every_path_that_the_documents_name_exists() {
    for (document, text) in documents() {
        for path in named_paths(&text) {
            let is_there = Path::new(&path).exists() || document.with_file_name(&path).exists();
            assert!(is_there, "{} names {path}, which does not exist", document.display());
        }
    }
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let mut count = 0;
    for (document, text) in documents() {
        for code in text.split('`').skip(1).step_by(2) {
            let Some((path, name)) = code.split_once(".rs: ") else { continue };
            let source = fs::read_to_string(format!("{path}.rs")).unwrap_or_default();
            assert!(
                source.contains(&format!("fn {name}(")),
                "{} names {code}, which does not exist",
                document.display()
            );
            count += 1;
        }
    }
    assert!(count > 100, "{count} tests are named");
}

#[test]
fn a_path_in_a_document_is_told_from_other_code() {
    let text = "`src/http/` [a](docs/a.md) [b](https://example.com/b.md) `/metrics` `type/x.*` `GET /v1/a` `a.b` `x.rs` \
                `src/no/*.json` `tests/<name>.json` srcset=\"docs/a.webp\" `.ci/run`";
    assert_eq!(named_paths(text), ["src/http/", "x.rs", ".ci/run", "docs/a.md", "docs/a.webp"]);
}

/// Paths in code spans, links and pictures: paths below a folder of the repository, and file names.
fn named_paths(text: &str) -> Vec<String> {
    let folders: Vec<String> = fs::read_dir(".")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| format!("{}/", entry.file_name().to_string_lossy()))
        .collect();
    let is_path = |code: &&str| {
        let is_plain = !code.contains([' ', '*', '<', '{', ':', '=', '#']);
        let is_below = folders.iter().any(|folder| code.starts_with(folder.as_str()));
        is_plain && !code.starts_with('/') && (is_below || ENDINGS.iter().any(|ending| code.ends_with(ending)))
    };
    let code =
        text.lines().filter(|line| !line.starts_with("    ")).flat_map(|line| line.split('`').skip(1).step_by(2));
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let pictures = ["src=\"", "srcset=\""].into_iter();
    let pictures = pictures.flat_map(|mark| text.split(mark).skip(1)).filter_map(|rest| rest.split('"').next());
    code.chain(links).chain(pictures).filter(is_path).map(str::to_owned).collect()
}

#[test]
fn no_file_holds_a_merge_marker() {
    let mut folders = vec![PathBuf::from(".")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !["./target", "./.git"].iter().any(|other| path.starts_with(other)) {
                    folders.push(path);
                }
                continue;
            }
            count += 1;
            let bytes = fs::read(&path).unwrap();
            let is_marked = bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"<<<<<<<"));
            assert!(!is_marked, "{} holds a merge marker", path.display());
            count += 1;
        }
    }
    assert!(count > 200, "{count} files");
}
