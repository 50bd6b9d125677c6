//! Model test of the engine: random schedules of events, failures, crashes and changes, each from a seed.
//!
//! One thread does the work of the scheduler, the workers and the maintenance thread. It calls their functions in an
//! order that the seed decides, over the real store, with a manual clock and a stub in place of the receivers, so a seed
//! always does the same. `world` has the steps, `script` chooses among them, `book` holds the expectations, `checks`
//! compares them with the database.
//!
//! `HOOKPOST_MODEL_SEEDS=n` runs n seeds, `HOOKPOST_MODEL_SEED=s` only the seed s, with its trace.

mod book;
mod checks;
mod random;
mod receivers;
mod scenarios;
mod script;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use world::World;

/// Seeds of a usual run.
const SEEDS: u64 = 2_000;
/// Steps of a trace that a failure shows.
const SHOWN: usize = 60;

type Trace = Rc<RefCell<Vec<String>>>;

#[test]
fn every_schedule_ends_with_everything_delivered_failed_or_discarded() {
    if let Some(seed) = number("HOOKPOST_MODEL_SEED") {
        let trace = Trace::default();
        let result = catch_unwind(AssertUnwindSafe(|| run(seed, &trace)));
        println!("{}", trace.borrow().join("\n"));
        assert!(result.is_ok(), "seed {seed} failed");
        return;
    }
    let seeds = number("HOOKPOST_MODEL_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let faults = Mutex::new(Vec::new());
    let steps = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || faults.lock().unwrap_or_else(PoisonError::into_inner).len() > 2 {
                        return;
                    }
                    match tried(seed) {
                        Ok(trace) => count(&trace, &mut steps.lock().unwrap_or_else(PoisonError::into_inner)),
                        Err(fault) => faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault),
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    println!("steps: {:?}", steps.into_inner().unwrap_or_else(PoisonError::into_inner));
}

#[test]
fn a_seed_always_does_the_same() {
    for seed in 0..5 {
        let traces = [Trace::default(), Trace::default()];
        traces.iter().for_each(|trace| run(seed, trace));
        assert_eq!(traces[0], traces[1], "seed {seed}");
    }
}

/// Counts the steps of a trace by their first word.
fn count(trace: &Trace, steps: &mut BTreeMap<String, u64>) {
    for line in trace.borrow().iter() {
        let word = line.split_whitespace().nth(1).unwrap_or_default();
        *steps.entry(word.to_owned()).or_default() += 1;
    }
}

/// Runs a seed and returns its trace. The error says how to run it again, and has the end of its trace.
fn tried(seed: u64) -> Result<Trace, String> {
    let trace = Trace::default();
    let result = catch_unwind(AssertUnwindSafe(|| run(seed, &trace)));
    result.map(|()| Rc::clone(&trace)).map_err(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let trace = trace.borrow();
        let end = trace[trace.len().saturating_sub(SHOWN)..].join("\n");
        format!(
            "seed {seed}: {}\n{end}\nAgain: HOOKPOST_MODEL_SEED={seed} cargo test --lib engine::model -- --nocapture",
            message.unwrap_or_default()
        )
    })
}

fn run(seed: u64, trace: &Trace) {
    let mut world = World::new(seed, Rc::clone(trace));
    script::play(&mut world);
    world.calm();
    world.check_at_rest();
    script::resume_all(&mut world);
    world.calm();
    world.check_all_ended();
    world.close();
}

#[expect(clippy::disallowed_methods, reason = "how many seeds is the caller's choice")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a whole number"))
}
