//! URLs, event patterns, `Retry-After`, cursors: their parsers on their own.

use hookpost::domain::Invalid;
use hookpost::domain::attempt::ErrorCode;
use hookpost::domain::event::EventType;
use hookpost::domain::pattern::EventPattern;
use hookpost::domain::retry::{
    AnswerHints, Exhausted, Gone, History, MeasuredFrom, Next, Rules, Schedule, ScheduleSpec, after_failure,
};
use hookpost::domain::target::{MAX_URL_BYTES, TargetPolicy, TargetUrl};
use hookpost::domain::time::{DAY, SECOND, parse_retry_after};
use hookpost::store::page::Cursor;
use proptest::prelude::*;
use proptest::sample::select;

use super::check;

const CASES: u32 = 4_000;
/// 2026-01-15T10:00:00Z.
const NOW: i64 = 1_768_471_200_000;

fn is_said(invalid: &Invalid) -> bool {
    !invalid.code.is_empty() && invalid.message.ends_with(['.', ')'])
}

fn url_text() -> impl Strategy<Value = String> {
    let scheme = select(vec!["http://", "https://", "HTTPS://", "ftp://", "http:/", "//", "https:", ""]);
    let user = select(vec!["", "", "", "", "a@", "a:b@", "%40@", "\\"]);
    let host = prop_oneof![
        3 => "[a-z0-9-]{1,8}(\\.[a-z0-9-]{1,8}){0,3}\\.?",
        2 => "[0-9a-fx]{1,10}(\\.[0-9]{1,4}){0,3}",
        1 => "\\[[0-9a-f:.%]{0,20}\\]",
        1 => "\\PC{0,8}",
        1 => select(vec!["localhost", "[::1]", "127.1", "0x7f.1", "１２７.0.0.1", "①.com", "%31%32%37.1", "xn--a"]).prop_map(str::to_owned),
    ];
    let port = prop_oneof![3 => Just(String::new()), 1 => ":[0-9]{0,6}"];
    let tail =
        prop_oneof![2 => Just(String::new()), 2 => "/[!-~]{0,30}", 1 => "[?#/]\\PC{0,10}", 1 => "/[a-z]{2030,2050}"];
    let built = (scheme, user, host, port, tail)
        .prop_map(|(scheme, user, host, port, tail)| format!("{scheme}{user}{host}{port}{tail}"));
    prop_oneof![9 => built, 1 => any::<String>()]
}

#[test]
fn an_accepted_url_prints_and_parses_to_the_same_and_has_no_hidden_part() {
    check(CASES, url_text(), |text| {
        let url: TargetUrl = match text.parse() {
            Ok(url) => url,
            Err(invalid) => {
                prop_assert!(is_said(&invalid), "{invalid:?}");
                return Ok(());
            }
        };
        let printed = url.as_str();
        prop_assert_eq!(printed.parse::<TargetUrl>().ok(), Some(url.clone()));
        prop_assert!(printed.len() <= MAX_URL_BYTES && printed.is_ascii());
        prop_assert!(!printed.contains(|c: char| c.is_ascii_control() || matches!(c, ' ' | '\\' | '#')));
        prop_assert!(
            !url.host().is_empty() && !url.host().ends_with('.') && !url.host().contains(['@', '/', '?', '%'])
        );
        prop_assert!(url.port() > 0);
        // What another parser reads as the host is the host that is checked.
        let parsed = url::Url::parse(&text).unwrap();
        prop_assert_eq!(parsed.host_str().map(|host| host.trim_end_matches('.')), Some(url.host()));
        let own = [];
        let allowed = TargetPolicy::default().judge_literal(&url, &own).is_ok();
        prop_assert!(!allowed || url.is_https() && !url.is_localhost(), "{} is allowed", url);
        Ok(())
    });
}

#[test]
fn a_pattern_is_accepted_exactly_if_it_is_one_and_matches_what_it_says() {
    let text =
        prop_oneof!["[a-c*.]{0,8}", "\\PC{0,12}", "([a-cA-Z0-9_-]{1,3}\\.){0,3}(\\*|[a-c]{1,3})", "[a.]{120,135}"];
    let event_type = "[a-c]{1,2}(\\.[a-c]{1,2}){0,3}";
    check(CASES, (text, event_type), |(text, event_type)| {
        let is_name = |text: &str| {
            let is_segment = |segment: &str| {
                !segment.is_empty() && segment.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
            };
            text.split('.').all(is_segment)
        };
        let below = text.strip_suffix(".*");
        let expected = text == "*" || text.len() <= 128 && is_name(below.unwrap_or(&text));
        match text.parse::<EventPattern>() {
            Ok(pattern) => {
                prop_assert!(expected);
                prop_assert_eq!(pattern.to_string(), text.clone());
                let matches = text == "*"
                    || text == event_type
                    || below.is_some_and(|name| event_type.starts_with(&format!("{name}.")));
                prop_assert_eq!(pattern.matches(&event_type.parse::<EventType>().unwrap()), matches);
            }
            Err(invalid) => {
                prop_assert!(!expected && is_said(&invalid), "{invalid:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn a_retry_after_delays_by_a_day_at_most_and_never_shortens_a_wait() {
    let date = (-2_000_000_000_i64..9_000_000_000).prop_map(|second| {
        let time = jiff::Timestamp::from_second(second).unwrap();
        time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    });
    let text = prop_oneof!["\\PC{0,40}", "[0-9]{1,30}", "[ +-]?[0-9]{1,4}[.eE]?[0-9]{0,3}", date];
    let schedule = Schedule::parse(&ScheduleSpec {
        delays_s: vec![10.0],
        measured_from: MeasuredFrom::PreviousAttempt,
        exhausted: Exhausted::Disable,
    })
    .unwrap();
    check(CASES, (text, 0.0..=1.0), |(text, jitter)| {
        let wait = parse_retry_after(&text, NOW);
        prop_assert!(wait.is_none_or(|wait| wait >= 0));
        if let Ok(seconds) = text.parse::<u32>().as_ref() {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            prop_assert!(!is_plain || wait == Some(i64::from(*seconds) * SECOND));
        }
        if let Ok(time) = jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S GMT", &text)
            && let Ok(time) = time.to_datetime().and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
        {
            prop_assert_eq!(wait, Some((time.timestamp().as_millisecond() - NOW).max(0)));
        }
        let history = History {
            failures: 1,
            due_ms: NOW,
            started_ms: NOW,
            ended_ms: NOW,
            origin_ms: None,
            endpoint_is_alive: false,
            webhook_is_active: true,
            panics: 0,
        };
        let answer = AnswerHints { status: Some(429), retry_after: Some(&text) };
        let rules = Rules { schedule: &schedule, gone: Gone::Disable };
        let Next::RetryAt { due_ms, .. } = after_failure(ErrorCode::Status, answer, &history, rules, jitter) else {
            return Err(TestCaseError::fail("a schedule with a delay left ends"));
        };
        prop_assert!((10 * SECOND..=DAY).contains(&(due_ms - NOW)));
        prop_assert!(due_ms - NOW >= wait.unwrap_or_default().min(DAY));
        Ok(())
    });
}

#[test]
fn an_accepted_cursor_prints_and_parses_to_the_same() {
    let text = prop_oneof!["\\PC{0,20}", "[A-Za-z0-9_-]{11}", "AAAAAA[A-Za-z0-9_-]{5}"];
    check(CASES, (text, 1..i64::MAX), |(text, seq)| {
        let cursor = Cursor::below(seq);
        prop_assert_eq!(cursor.to_string().parse::<Cursor>().ok(), Some(cursor));
        match text.parse::<Cursor>() {
            Ok(cursor) => prop_assert_eq!(cursor.to_string(), text),
            Err(invalid) => prop_assert!(is_said(&invalid) && invalid.field.as_deref() == Some("cursor")),
        }
        Ok(())
    });
}
