//! Tables of the documents, compared with the program.

use std::collections::BTreeMap;

use hookpost::actions;
use hookpost::domain::attempt::ErrorCode;
use hookpost::domain::retry::Gone;
use hookpost::domain::time::{DAY, HOUR};
use hookpost::domain::{event, filter, header, json, retry, target, tls, webhook};
use hookpost::profile::template;
use hookpost::store::{idempotency, page};
use strum::VariantArray as _;

use super::blocks::read;
use crate::support::Hub;

/// Rows of a document whose first cell is one code, with the second cell.
fn rows(text: &str) -> Vec<(String, String)> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (code, rest) = row.split_once("` | ")?;
        Some((code.to_owned(), rest.split(" | ").next()?.to_owned()))
    })
    .collect()
}

/// Codes that no call of the specification has: of requests that reach no call.
const ELSEWHERE: [(&str, &str); 7] = [
    ("https_required", "400"),
    ("unknown_host", "421"),
    ("method_not_allowed", "405"),
    ("moved", "308"),
    ("malformed_request", "400"),
    ("head_too_slow", "408"),
    ("head_too_large", "431"),
];

#[test]
fn the_error_codes_of_the_documents_are_those_of_the_program() {
    let specification = Hub::start().send("GET", "/openapi.json", &[], b"").expect(200).json();
    let mut codes: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |status: &str, response: &serde_json::Value| {
        for code in response["x-error-codes"].as_array().into_iter().flatten() {
            codes.insert(code.as_str().unwrap().to_owned(), status.to_owned());
        }
    };
    for calls in specification["paths"].as_object().unwrap().values() {
        for call in calls.as_object().unwrap().values() {
            for (status, response) in call["responses"].as_object().unwrap() {
                let target = response["$ref"].as_str().and_then(|target| specification.pointer(&target[1..]));
                add(status, target.unwrap_or(response));
            }
        }
    }
    assert!(codes.len() > 60, "{codes:?}");
    codes.extend(ELSEWHERE.map(|(code, status)| (code.to_owned(), status.to_owned())));
    let text = read("docs/errors.md");
    let (calls, attempts) = text.split_once("## Failed attempts").unwrap();
    let listed = rows(calls);
    assert_eq!(listed.len(), listed.iter().map(|(code, _)| code).collect::<std::collections::BTreeSet<_>>().len());
    let listed: BTreeMap<String, String> = listed.into_iter().collect();
    let missing: Vec<_> = codes.iter().filter(|(code, status)| listed.get(*code) != Some(status)).collect();
    assert!(missing.is_empty(), "docs/errors.md needs rows for {missing:?}");
    let unknown: Vec<_> = listed.keys().filter(|code| !codes.contains_key(*code)).collect();
    assert!(unknown.is_empty(), "docs/errors.md has rows for {unknown:?}, which no call returns");
    let listed: Vec<String> = rows(attempts).into_iter().map(|(code, _)| code).collect();
    assert_eq!(listed, ErrorCode::VARIANTS.iter().map(ToString::to_string).collect::<Vec<_>>());
}

#[test]
fn the_guide_names_the_profiles_that_retry_after_a_410() {
    let mut names: Vec<String> = hookpost::profile::builtin()
        .values()
        .filter(|profile| profile.spec().gone == Gone::Retry)
        .map(|profile| format!("`{}`", profile.name()))
        .collect();
    names.sort();
    let last = names.pop().unwrap();
    let row = format!("With {} and {last}, the attempt has failed |", names.join(", "));
    assert!(read("docs/receiving.md").contains(&row), "{row}");
}

/// A number with commas.
fn number(of: impl TryInto<u64>) -> String {
    let digits = of.try_into().ok().unwrap().to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

#[test]
fn the_limits_of_the_documents_are_those_of_the_program() {
    let defaults = webhook::Limits::DEFAULT;
    let settings = hookpost::config::Settings::command();
    let default = |name: &str| {
        let found = settings.get_arguments().find(|argument| argument.get_long() == Some(name)).unwrap();
        number(found.get_default_values()[0].to_str().unwrap().parse::<u64>().unwrap())
    };
    let rows = [
        format!(
            "| Body of a request | {} MiB (`--max-body`",
            default("max-body").replace(',', "").parse::<u64>().unwrap() >> 20
        ),
        format!("| Events in a batch | {} |", number(actions::publish_batch::MOST_EVENTS)),
        format!("| Deliveries of a batch | {} |", number(actions::publish_batch::MOST_DELIVERIES)),
        format!("| Levels of JSON | {} |", json::MAX_DEPTH),
        format!("| Rows of a page of a list | {}; {} by default |", page::MAX_LIMIT, page::DEFAULT_LIMIT),
        format!("| IDs of a bulk action | {} |", number(actions::delivery::bulk::MOST_IDS)),
        format!("remembered for {} hours |", idempotency::KEPT / HOUR),
        format!("| Text of a search | {} characters |", hookpost::domain::needle::Needle::MAX_CHARS),
        format!("| Event type | {} bytes", event::EventType::MAX_BYTES),
        format!("| Event ID | {} characters", event::EventId::MAX_BYTES),
        format!("| Tenant | {} characters", event::Tenant::MAX_BYTES),
        format!("| URL | {} bytes |", number(target::MAX_URL_BYTES)),
        format!("| Description | {} bytes |", number(webhook::MAX_DESCRIPTION)),
        format!("| Custom headers | {}, each value {} bytes |", header::MAX_HEADERS, number(header::MAX_VALUE_BYTES)),
        format!(
            "| Filter | {} KiB, {} levels, {} conditions |",
            filter::MAX_BYTES >> 10,
            filter::MAX_DEPTH,
            filter::MAX_CONDITIONS
        ),
        format!(
            "| Template | {} characters; {} steps and {} MiB of output for an event |",
            number(template::MAX_CHARS),
            number(template::MAX_STEPS),
            template::MAX_OUTPUT_BYTES >> 20
        ),
        format!("| Certificates | {} KiB, {} in a chain |", tls::MAX_BYTES >> 10, tls::MAX_CERTIFICATES),
        format!("| `timeout_s` | 1 to 30; {} by default |", defaults.timeout_s),
        format!("| `max_in_flight` | 1 to 64; {} by default |", defaults.max_in_flight),
        format!(
            "| Delays of a retry schedule | {}, each {} seconds at most |",
            retry::MAX_DELAYS,
            number(retry::MAX_DELAY_S as u64)
        ),
        format!("| Delay added at random | up to {} % of the wait |", (retry::JITTER_SHARE * 100.0) as u64),
        format!(
            "| Overlap of a rotation | {} hours by default, {} days at most |",
            webhook::DEFAULT_OVERLAP / HOUR,
            webhook::MAX_OVERLAP / DAY
        ),
        format!("| Webhooks | {} | `--tenant-webhooks` |", default("tenant-webhooks")),
        format!("| Pending and retrying deliveries | {} | `--tenant-queued` |", default("tenant-queued")),
        format!("portal sessions | {} | `--tenant-requests-per-s` |", default("tenant-requests-per-s")),
        format!("| Bulk actions and replays at a time | {} | `--tenant-jobs` |", default("tenant-jobs")),
        format!("wait for endpoints at a time | {} | `--tenant-tests` |", default("tenant-tests")),
        format!("| Requests kept in the inbox | {} | `--tenant-inbox-requests` |", default("tenant-inbox-requests")),
        format!("with its last delivery | {} days | `--retention-days` |", default("retention-days")),
        format!("| Dead letters | {} days | `--failed-retention-days` |", default("failed-retention-days")),
        format!("| Audit log | {} days | `--audit-days` |", default("audit-days")),
    ];
    let text = read("docs/limits.md");
    for row in rows {
        assert!(text.contains(&row), "docs/limits.md does not say {row}");
    }
}
