//! Sizes and times over the days: none grows for ever.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hookpost::store::{Connection, beside};

use super::Plan;
use crate::support::Hub;
use crate::support::visitor::Visitor;

/// Sizes at one time.
pub(super) struct Report {
    day: i64,
    tables: BTreeMap<String, i64>,
    file_mib: f64,
    log_mib: f64,
    memory_mib: f64,
    page: Duration,
    list: Duration,
}

fn tables(database: &Path) -> BTreeMap<String, i64> {
    let connection = Connection::open(database).unwrap();
    let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count = |name: &String| {
        connection.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get::<_, i64>(0)).unwrap()
    };
    names.iter().filter(|name| !name.starts_with("sqlite_")).map(|name| (name.clone(), count(name))).collect()
}

/// Resident memory of this process, which runs the server.
fn memory_mib() -> f64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let resident: f64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    resident * 4096.0 / f64::from(1 << 20)
}

/// Median of five runs.
fn median(mut work: impl FnMut()) -> Duration {
    let mut times = [(); 5].map(|()| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    });
    times.sort();
    times[2]
}

pub(super) fn report(hub: &Hub, visitor: &Visitor<'_>, day: i64) -> Report {
    let mib = |path: &Path| fs::metadata(path).map_or(0.0, |found| found.len() as f64 / f64::from(1 << 20));
    let database = hub.database();
    let found = Report {
        day,
        tables: tables(&database),
        file_mib: mib(&database),
        log_mib: mib(&beside(&database, "-wal")),
        memory_mib: memory_mib(),
        page: median(|| {
            visitor.get("/").expect(200);
        }),
        list: median(|| {
            hub.get("/v1/deliveries?limit=100").expect(200);
        }),
    };
    println!(
        "day {day:3}: file {:.1} MiB, log {:.1} MiB, memory {:.0} MiB, page {:?}, list {:?}",
        found.file_mib, found.log_mib, found.memory_mib, found.page, found.list
    );
    let rows: Vec<String> = found.tables.iter().map(|(name, rows)| format!("{name} {rows}")).collect();
    println!("    {}", rows.join(", "));
    found
}

/// Checks that nothing grows after the horizon: the largest of the last reports is about the largest of the first ones.
pub(super) fn flat(reports: &[Report], plan: &Plan) {
    let late: Vec<&Report> = reports.iter().filter(|report| report.day >= plan.horizon).collect();
    assert!(late.len() >= 4, "too few reports after the horizon");
    let (first, last) = late.split_at(late.len() / 2);
    let largest = |part: &[&Report], of: &dyn Fn(&Report) -> f64| part.iter().map(|r| of(r)).fold(0.0, f64::max);
    let mut grown = Vec::new();
    let mut compare = |name: &str, slack: f64, of: &dyn Fn(&Report) -> f64| {
        let (before, after) = (largest(first, of), largest(last, of));
        if after > before * 1.15 + slack {
            grown.push(format!("{name} grew from {before:.1} to {after:.1}"));
        }
    };
    for name in reports[0].tables.keys() {
        // Kept for longer than a year by default: bounded by what people do in that time.
        if ["audit", "api_key"].contains(&name.as_str())
            && plan.retention.audit_days().is_none_or(|days| i64::from(days) > plan.horizon)
        {
            continue;
        }
        compare(name, 3.0, &|report| report.tables[name] as f64);
    }
    compare("the file", 1.0, &|report| report.file_mib);
    compare("the log", 8.0, &|report| report.log_mib);
    compare("the memory", 24.0, &|report| report.memory_mib);
    compare("the time of a page", 150.0, &|report| report.page.as_secs_f64() * 1e3);
    compare("the time of a list", 150.0, &|report| report.list.as_secs_f64() * 1e3);
    assert!(grown.is_empty(), "{grown:#?}");
}
