//! Lookups that hang.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::super::lookups::{MAX_PER_TENANT, MAX_THREADS};
use super::super::{Lookup, Unresolved};
use super::{ScriptedLookup, failure, far, guard_with, ips, url};
use crate::domain::attempt::{ErrorCode, FailureCause};

/// A lookup that hangs until the test replies, or drops the sender.
struct Question {
    host: String,
    reply: Sender<ScriptedLookup>,
}

/// Returns a resolver whose lookups wait until the test replies.
fn manual() -> (Arc<Lookup>, Receiver<Question>) {
    let (ask, questions) = channel();
    let lookup = move |host: &str| {
        let (reply, replies) = channel();
        let host = host.to_owned();
        ask.send(Question { host, reply }).map_err(io::Error::other)?;
        replies.recv().map_err(io::Error::other)?
    };
    (Arc::new(lookup), questions)
}

#[test]
fn a_name_server_that_hangs_costs_the_caller_no_more_than_its_deadline() {
    let (lookup, questions) = manual();
    let guard = guard_with(&[], lookup);
    let target = url("https://slow.example/");
    thread::scope(|scope| {
        let patient = scope.spawn(|| guard.resolve(&target, far()));
        let question = questions.recv().unwrap();
        assert_eq!(question.host, "slow.example");
        let message = failure(guard.resolve(&target, Instant::now()), ErrorCode::DnsFailed);
        assert_eq!(message, "DNS gave no answer for slow.example in time.");
        assert_eq!(guard.check_new(&target, Instant::now()), Ok(()));
        question.reply.send(Ok(ips(&["8.8.8.8"]))).unwrap();
        assert!(patient.join().unwrap().is_ok());
    });
    assert!(questions.try_recv().is_err(), "one lookup served everyone");
}

#[test]
fn addresses_judged_before_serve_for_an_hour_while_a_name_server_hangs() {
    let (lookup, questions) = manual();
    let guard = guard_with(&[], lookup);
    let (target, start) = (url("https://h.example/"), Instant::now());
    let answering = thread::spawn(move || {
        let first = questions.recv().unwrap();
        first.reply.send(Ok(ips(&["8.8.8.8"]))).unwrap();
        questions
    });
    let first = guard.resolve_at(&target, start, far()).unwrap();
    let questions = answering.join().unwrap();
    let minutes = |count: u32| start + Duration::from_secs(60) * count;
    for minute in [1, 30, 59] {
        assert_eq!(guard.resolve_at(&target, minutes(minute), far()).unwrap(), first);
    }
    let asked = questions.recv().unwrap();
    assert!(questions.try_recv().is_err(), "one lookup at a time");
    let soon = Instant::now() + Duration::from_millis(20);
    assert!(guard.resolve_at(&target, minutes(60), soon).is_err(), "an hour is the most");
    asked.reply.send(Ok(ips(&["127.0.0.1"]))).unwrap();
    while guard.lookups.waiters("h.example") > 0 {
        thread::yield_now();
    }
    let refused = guard.resolve_at(&target, minutes(59), far());
    assert!(matches!(refused, Err(Unresolved::Refused(_))), "{refused:?}");
}

#[test]
fn callers_for_one_host_share_one_lookup() {
    let (lookup, questions) = manual();
    let guard = guard_with(&[], lookup);
    let (plain, other_port) = (url("https://h.example/"), url("https://h.example:8443/"));
    thread::scope(|scope| {
        let callers: Vec<_> = [&plain, &other_port]
            .into_iter()
            .cycle()
            .take(8)
            .map(|target| scope.spawn(|| guard.resolve(target, far())))
            .collect();
        let question = questions.recv().unwrap();
        while guard.lookups.waiters("h.example") < callers.len() {
            thread::yield_now();
        }
        question.reply.send(Ok(ips(&["8.8.8.8"]))).unwrap();
        for caller in callers {
            assert!(caller.join().unwrap().is_ok());
        }
    });
    assert!(questions.try_recv().is_err(), "one lookup served everyone");
    assert_eq!(guard.lookups.threads(), 1);
}

#[test]
fn when_every_lookup_thread_hangs_further_callers_get_a_clear_sentence_and_leave_nothing_behind() {
    let (lookup, questions) = manual();
    let guard = guard_with(&[], lookup);
    let more = url("https://one-more.example/");
    thread::scope(|scope| {
        let held: Vec<_> = (0..MAX_THREADS)
            .map(|number| {
                let target = url(&format!("https://h{number}.example/"));
                let guard = &guard;
                let tenant = format!("t{}", number / MAX_PER_TENANT);
                scope.spawn(move || guard.resolve_for(&tenant, &target, far()))
            })
            .collect();
        let mut hanging: Vec<Question> = questions.iter().take(MAX_THREADS).collect();
        let refused = guard.resolve(&more, Instant::now());
        assert!(matches!(refused, Err(FailureCause::LookupUnavailable { .. })));
        let message = failure(refused, ErrorCode::DnsFailed);
        assert!(message.contains("32 of all"), "{message}");
        assert_eq!(guard.lookups.threads(), MAX_THREADS);
        assert_eq!(guard.lookups.queued(), 0);
        // The first free thread takes the queued lookup.
        let waiting = scope.spawn(|| guard.resolve(&more, far()));
        while guard.lookups.queued() == 0 {
            thread::yield_now();
        }
        drop(hanging.pop());
        let question = questions.recv().unwrap();
        assert_eq!(question.host, "one-more.example");
        question.reply.send(Ok(ips(&["8.8.8.8"]))).unwrap();
        assert!(waiting.join().unwrap().is_ok());
        drop(hanging);
        for caller in held {
            failure(caller.join().unwrap(), ErrorCode::DnsFailed);
        }
    });
}

#[test]
fn names_of_one_tenant_that_hang_leave_threads_for_the_names_of_others() {
    let (lookup, questions) = manual();
    let guard = guard_with(&[], lookup);
    let count = MAX_THREADS + MAX_PER_TENANT;
    thread::scope(|scope| {
        let held: Vec<_> = (0..count)
            .map(|number| {
                let target = url(&format!("https://h{number}.example/"));
                let guard = &guard;
                scope.spawn(move || guard.resolve_for("busy", &target, far()))
            })
            .collect();
        let hanging: Vec<Question> = questions.iter().take(MAX_PER_TENANT).collect();
        while guard.lookups.queued() < count - MAX_PER_TENANT {
            thread::yield_now();
        }
        // A new name, and one that the other tenant asked for and waits for.
        for name in ["other.example", "h39.example"] {
            let target = url(&format!("https://{name}/"));
            let asked_by_both = name == "h39.example" && !hanging.iter().any(|question| question.host == name);
            if name == "h39.example" && !asked_by_both {
                continue;
            }
            let guard = &guard;
            let caller = scope.spawn(move || guard.resolve_for("quiet", &target, far()));
            let question = questions.recv().unwrap();
            assert_eq!(question.host, name);
            question.reply.send(Ok(ips(&["8.8.8.8"]))).unwrap();
            assert!(caller.join().unwrap().is_ok());
        }
        let refused = guard.resolve_for("busy", &url("https://more.example/"), Instant::now());
        assert!(matches!(refused, Err(FailureCause::LookupUnavailable { .. })), "it uses up no attempt");
        drop(hanging);
        while held.iter().any(|caller| !caller.is_finished()) {
            // Answered with an error.
            drop(questions.try_recv());
            thread::yield_now();
        }
    });
}
