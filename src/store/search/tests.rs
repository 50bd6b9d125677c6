use std::time::Duration;

use rusqlite::Connection;

use super::{Hits, TextSearch, excerpt};
use crate::clock::Clock;
use crate::domain::needle::Needle;
use crate::store::delivery::{self, DeliveryFilter};
use crate::store::event::{self, EventFilter};
use crate::store::page::PageRequest;
use crate::store::{fixtures, migrate, webhook};

/// 5,000 events of two tenants, one in ten of which is deleted, as are all from 2,000 to 3,500; and two deliveries of each. Every
/// 300th contains the text.
const ROWS: &str = "
    INSERT INTO topic VALUES (1, 't1', 'a.b'), (2, 't2', 'a.b');
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO event (seq, id, tenant, type, created_ms, received_ms, test, checksum, data, previous_data, topic_seq)
    SELECT i, 'e' || i, 't' || (1 + i % 2), 'a.b', i, i, 0, 0,
        iif(i % 300 = 1 AND i % 2 = 1, '{\"order\":\"X-1001\"}', '{\"order\":' || (7000 + i) || '}'),
        iif(i % 300 = 1 AND i % 2 = 0, '{\"order\":\"x-1001\"}', NULL), 1 + i % 2
    FROM n WHERE i % 10 <> 0 AND i NOT BETWEEN 2000 AND 3500;
    INSERT INTO delivery (seq, id, event_seq, webhook_seq, status, cause, next_trigger, created_ms, finished_ms, topic_seq)
    SELECT 2 * e.seq + w.seq - 2, CAST(printf('%016d', 2 * e.seq + w.seq) AS BLOB), e.seq, w.seq, 'delivered', 'event', 'initial',
        e.seq, e.seq, topic_seq
    FROM event e, webhook w ORDER BY 1;";

fn database() -> Connection {
    let connection = migrate::in_memory();
    for number in [1, 2] {
        webhook::insert_row(&connection, &fixtures::webhook(number, "t1")).unwrap();
    }
    connection.execute_batch(&ROWS.replace("\\\"", "\"")).unwrap();
    connection
}

/// A search that ends after each step, as time never passes on the clock and it has none.
fn hasty(text: &str) -> TextSearch {
    TextSearch { needle: text.parse().unwrap(), timer: Clock::manual(0).timer(Duration::ZERO) }
}

/// Goes on to the end. Returns what was found, and the times to which the pages searched back.
fn all<T>(search: impl Fn(&PageRequest) -> Hits<T>) -> (Vec<T>, Vec<i64>) {
    let mut request = PageRequest { limit: 3, cursor: None };
    let (mut found, mut times) = (Vec::new(), Vec::new());
    loop {
        let Hits { page, back_to_ms } = search(&request);
        assert!(page.rows.len() <= 3);
        found.extend(page.rows);
        times.extend(back_to_ms);
        match page.next {
            Some(next) => request.cursor = Some(next),
            None => return (found, times),
        }
    }
}

#[test]
fn a_search_that_runs_out_of_time_goes_on_where_it_stopped_and_misses_nothing() {
    let connection = database();
    let numbers = (1..=5_000).rev().filter(|i| i % 300 == 1 && !(2_000..=3_500).contains(i));
    let wanted: Vec<i64> = numbers.collect();
    for (tenant, wanted) in [
        (None, wanted.clone()),
        (Some("t1"), wanted.iter().copied().filter(|i| i % 2 == 0).collect()),
        (Some("t2"), wanted.iter().copied().filter(|i| i % 2 == 1).collect()),
    ] {
        let tenant = tenant.map(|name: &str| name.parse().unwrap());
        let filter = EventFilter { tenant: tenant.clone(), ..EventFilter::default() };
        let text = hasty("x-1001");
        let (found, times) = all(|request| event::search(&connection, &filter, &text, request).unwrap());
        assert_eq!(found.iter().map(|event| event.seq).collect::<Vec<_>>(), wanted);
        assert!(times.len() >= 2 && times.is_sorted_by(|one, next| one >= next), "{times:?}");
        let (previews, _) = all(|request| event::search_previews(&connection, &filter, &text, request).unwrap());
        assert_eq!(previews.iter().map(|event| event.seq).collect::<Vec<_>>(), wanted);
        assert!(previews.iter().all(|event| event.data.to_lowercase().contains("x-1001")));

        let filter = DeliveryFilter { tenant, ..DeliveryFilter::default() };
        let (found, times) = all(|request| delivery::search(&connection, &filter, &text, request).unwrap());
        let of_events: Vec<i64> = found.iter().map(|found| found.delivery.event_seq).collect();
        assert_eq!(of_events, wanted.iter().flat_map(|seq| [*seq, *seq]).collect::<Vec<_>>());
        assert!(times.len() >= 2, "{times:?}");
    }
}

#[test]
fn a_search_keeps_to_the_other_conditions() {
    let connection = database();
    let wanted = |filter: EventFilter| {
        let (found, _) = all(|request| event::search(&connection, &filter, &hasty("x-1001"), request).unwrap());
        found.into_iter().map(|event| event.seq).collect::<Vec<_>>()
    };
    let none = EventFilter::default;
    assert_eq!(wanted(EventFilter { since: Some(4_000), until: Some(4_801), ..none() }), [4_501, 4_201]);
    assert_eq!(wanted(EventFilter { until: Some(302), ..none() }), [301, 1]);
    assert_eq!(wanted(EventFilter { types: "a.c".parse().unwrap(), ..none() }), [0; 0]);
    let webhook = webhook::all(&connection).unwrap().remove(0).id;
    let filter = DeliveryFilter { webhooks: webhook.into(), until: Some(302), ..DeliveryFilter::default() };
    let (found, _) = all(|request| delivery::search(&connection, &filter, &hasty("x-1001"), request).unwrap());
    assert_eq!(found.iter().map(|found| found.delivery.event_seq).collect::<Vec<_>>(), [301, 1]);
    // Ids, as a whole or a part of one.
    let id = found[0].delivery.id.to_string();
    for part in [&id[..], &id[12..], &id[8..20]] {
        let (same, _) = all(|request| delivery::search(&connection, &filter, &hasty(part), request).unwrap());
        assert!(same.iter().any(|found| found.delivery.id.to_string() == id), "{part}");
    }
    let (found, _) = all(|request| event::search(&connection, &none(), &hasty("E4999"), request).unwrap());
    assert_eq!(found.len(), 1);
}

#[test]
fn an_excerpt_shows_the_text_with_what_is_around_it() {
    let needle: Needle = "needle".parse().unwrap();
    let shown = |data: &str, previous: Option<&str>| {
        excerpt(&needle, &["e"], data.as_bytes(), previous.map(str::as_bytes)).unwrap_or_default()
    };
    assert_eq!(shown("{\"a\":\"needle\"}", None), "{\"a\":\"needle\"}");
    assert_eq!(shown("{}", Some("[\"needle\"]")), "previous_data: [\"needle\"]");
    assert_eq!(shown("{}", None), "");
    for filler in ["x", "\u{e9}", "\u{1f600}"] {
        let long = format!("\"{}needle{}\"", filler.repeat(1_000), filler.repeat(1_000));
        let part = shown(&long, None);
        assert!(part.starts_with('…') && part.ends_with('…') && part.contains("needle"), "{part}");
        assert!(!part.contains('\u{fffd}') && part.chars().count() <= 122, "{part}");
    }
    assert!(!shown(&format!("\"needle{}\"", "\u{1f600}".repeat(500)), None).contains('\u{fffd}'));
}
