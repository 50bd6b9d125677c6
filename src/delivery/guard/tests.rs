mod hanging;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{BELIEVED_FOR, Cache, Cached, Guard, Interfaces, Lookup, MAX_ADDRESSES, Unresolved};
use crate::domain::attempt::{ErrorCode, FailureCause};
use crate::domain::target::{OwnInbox, TargetPolicy, TargetUrl};
use crate::store::allowed_target::AllowedTargets;
use crate::text::failure::describe;

type ScriptedLookup = io::Result<Vec<IpAddr>>;

/// Lookups that are charged to no tenant.
impl Guard {
    fn resolve(&self, url: &TargetUrl, deadline: Instant) -> Result<Arc<[SocketAddr]>, FailureCause> {
        self.resolve_for("", url, deadline)
    }

    fn resolve_at(&self, url: &TargetUrl, now: Instant, deadline: Instant) -> Result<Arc<[SocketAddr]>, Unresolved> {
        self.resolve_for_at("", url, now, deadline)
    }
}

fn url(text: &str) -> TargetUrl {
    text.parse().unwrap()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A deadline that no test reaches.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn no_interfaces() -> Arc<Interfaces> {
    Arc::new(|| Ok(Vec::new()))
}

fn guard_with(entries: &[&str], lookup: Arc<Lookup>) -> Arc<Guard> {
    let entries = entries.iter().map(|entry| entry.parse().unwrap());
    Guard::with_interfaces(TargetPolicy::new(entries.collect()), AllowedTargets::default(), lookup, no_interfaces())
}

/// Returns a resolver with these results in order, and its number of calls.
fn scripted(answers: Vec<ScriptedLookup>) -> (Arc<Lookup>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let answers = Mutex::new(answers.into_iter());
    let lookup = move |_: &str| {
        count.fetch_add(1, Ordering::SeqCst);
        let next = answers.lock().unwrap().next();
        next.unwrap_or_else(|| Err(io::Error::other("no answer left")))
    };
    (Arc::new(lookup), asked)
}

fn always(texts: &[&str]) -> Arc<Lookup> {
    let addresses = ips(texts);
    Arc::new(move |_: &str| Ok(addresses.clone()))
}

fn failure(result: Result<Arc<[SocketAddr]>, FailureCause>, code: ErrorCode) -> String {
    let failure = describe(result.unwrap_err(), "https://h.example/");
    assert_eq!(failure.code(), code, "{}", failure.message);
    failure.message
}

#[test]
fn a_public_host_resolves_to_its_addresses_with_the_urls_port() {
    let guard = guard_with(&[], always(&["8.8.8.8", "2606:4700::1"]));
    let found = guard.resolve(&url("https://h.example:8443/"), far()).unwrap();
    let expected: [SocketAddr; 2] = ["8.8.8.8:8443".parse().unwrap(), "[2606:4700::1]:8443".parse().unwrap()];
    assert_eq!(*found, expected);
}

#[test]
fn a_mapped_address_is_dialled_as_the_ipv4_address_that_was_judged() {
    let guard = guard_with(&[], always(&["::ffff:8.8.8.8"]));
    let found = guard.resolve(&url("https://h.example/"), far()).unwrap();
    assert_eq!(*found, ["8.8.8.8:443".parse::<SocketAddr>().unwrap()]);
}

#[test]
fn a_verdict_holds_for_30_s_and_then_the_name_is_judged_anew() {
    let (lookup, asked) = scripted(vec![Ok(ips(&["8.8.8.8"])), Ok(ips(&["127.0.0.1"]))]);
    let guard = guard_with(&[], lookup);
    let (target, start) = (url("https://rebinding.example/"), Instant::now());
    assert!(guard.resolve_at(&target, start, far()).is_ok());
    let last_moment = start + BELIEVED_FOR - Duration::from_nanos(1);
    assert!(guard.resolve_at(&target, last_moment, far()).is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let later = guard.resolve_at(&target, start + BELIEVED_FOR, far());
    let message = failure(later.map_err(FailureCause::from), ErrorCode::TargetBlocked);
    assert!(message.contains("127.0.0.1, which is a loopback address"), "{message}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn a_name_that_goes_from_public_to_loopback_is_refused_where_nothing_is_remembered_yet() {
    let (lookup, _) = scripted(vec![Ok(ips(&["8.8.8.8"])), Ok(ips(&["127.0.0.1"]))]);
    let guard = guard_with(&[], lookup);
    assert!(guard.resolve(&url("https://rebinding.example/"), far()).is_ok());
    // Another port needs its own check, so the name is resolved again.
    let other_port = guard.resolve(&url("https://rebinding.example:8443/"), far());
    failure(other_port, ErrorCode::TargetBlocked);
}

#[test]
fn a_verdict_for_one_port_or_scheme_says_nothing_about_another() {
    let guard = guard_with(&["h.example:8443"], always(&["10.0.0.1"]));
    assert!(guard.resolve(&url("https://h.example:8443/"), far()).is_ok());
    assert!(guard.resolve(&url("http://h.example:8443/"), far()).is_ok());
    failure(guard.resolve(&url("https://h.example/"), far()), ErrorCode::TargetBlocked);
    let public = guard_with(&[], always(&["8.8.8.8"]));
    assert!(public.resolve(&url("https://h.example:80/"), far()).is_ok());
    failure(public.resolve(&url("http://h.example:80/"), far()), ErrorCode::TargetBlocked);
}

#[test]
fn mixed_answers_are_refused_wherever_the_forbidden_address_stands() {
    for answer in [
        ["127.0.0.1", "8.8.8.8", "1.1.1.1"],
        ["8.8.8.8", "::ffff:10.0.0.1", "1.1.1.1"],
        ["8.8.8.8", "1.1.1.1", "fe80::1"],
    ] {
        let guard = guard_with(&[], always(&answer));
        failure(guard.resolve(&url("https://h.example/"), far()), ErrorCode::TargetBlocked);
    }
}

#[test]
fn of_17_addresses_all_are_judged_and_16_are_handed_over() {
    let mut answer: Vec<String> = (1..=17).map(|last| format!("8.8.8.{last}")).collect();
    let texts: Vec<&str> = answer.iter().map(String::as_str).collect();
    let target = url("https://h.example/");
    let found = guard_with(&[], always(&texts)).resolve(&target, far()).unwrap();
    assert_eq!(found.len(), MAX_ADDRESSES);
    assert_eq!(found[15], "8.8.8.16:443".parse().unwrap());
    answer[16] = "127.0.0.1".to_owned();
    let texts: Vec<&str> = answer.iter().map(String::as_str).collect();
    failure(guard_with(&[], always(&texts)).resolve(&target, far()), ErrorCode::TargetBlocked);
}

#[test]
fn a_name_without_an_answer_is_a_dns_failure_and_is_asked_for_again_at_once() {
    let (lookup, asked) =
        scripted(vec![Err(io::Error::other("Name or service not known")), Ok(Vec::new()), Ok(ips(&["8.8.8.8"]))]);
    let guard = guard_with(&[], lookup);
    let target = url("https://h.example/");
    let message = failure(guard.resolve(&target, far()), ErrorCode::DnsFailed);
    assert_eq!(message, "h.example could not be resolved: Name or service not known");
    let message = failure(guard.resolve(&target, far()), ErrorCode::DnsFailed);
    assert_eq!(message, "h.example has no address in DNS.");
    assert!(guard.resolve(&target, far()).is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[test]
fn a_lookup_that_panics_is_a_dns_failure_and_the_next_one_works() {
    let first = AtomicUsize::new(0);
    let lookup = move |_: &str| match first.fetch_add(1, Ordering::SeqCst) {
        0 => panic!("on purpose"),
        _ => Ok(ips(&["8.8.8.8"])),
    };
    let guard = guard_with(&[], Arc::new(lookup));
    failure(guard.resolve(&url("https://h.example/"), far()), ErrorCode::DnsFailed);
    assert!(guard.resolve(&url("https://h.example/"), far()).is_ok());
}

#[test]
fn literal_addresses_and_hopeless_plain_http_are_judged_without_dns() {
    let (lookup, asked) = scripted(Vec::new());
    let guard = guard_with(&["192.168.0.0/16"], lookup);
    assert!(guard.resolve(&url("https://8.8.8.8/"), far()).is_ok());
    assert!(guard.resolve(&url("http://192.168.1.1:8080/"), far()).is_ok());
    for refused in [
        "https://2130706433/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::127.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/",
        "https://app.localhost/",
        "http://8.8.8.8/",
    ] {
        failure(guard.resolve(&url(refused), far()), ErrorCode::TargetBlocked);
        assert!(guard.check_new(&url(refused), far()).is_err(), "{refused}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn a_new_webhook_may_have_a_name_that_does_not_resolve_yet_but_none_that_is_forbidden() {
    let (lookup, _) =
        scripted(vec![Err(io::Error::other("not there yet")), Ok(ips(&["8.8.8.8"])), Ok(ips(&["10.0.0.1"]))]);
    let guard = guard_with(&[], lookup);
    assert_eq!(guard.check_new(&url("https://a.example/"), far()), Ok(()));
    assert_eq!(guard.check_new(&url("https://b.example/"), far()), Ok(()));
    let refusal = guard.check_new(&url("https://c.example/"), far()).unwrap_err();
    assert!(refusal.message().contains("--allow-target 10.0.0.1"), "{refusal}");
}

#[test]
fn this_machines_own_addresses_are_read_every_30_s_and_kept_when_reading_fails() {
    let (lists, _) = scripted(vec![
        Err(io::Error::other("too many open files")),
        Ok(ips(&["8.8.8.8"])),
        Err(io::Error::other("too many open files")),
        Ok(Vec::new()),
    ]);
    let interfaces: Arc<Interfaces> = Arc::new(move || lists(""));
    let (lookup, _) = scripted(Vec::new());
    let guard = Guard::with_interfaces(TargetPolicy::default(), AllowedTargets::default(), lookup, interfaces);
    let (target, start) = (url("https://8.8.8.8/"), Instant::now());
    let code_at = |now| {
        let result = guard.resolve_at(&target, now, far());
        result.map(|_| ()).map_err(|error| FailureCause::from(error).code())
    };
    assert_eq!(code_at(start), Err(ErrorCode::DnsFailed), "nothing is known, nothing is called");
    assert_eq!(code_at(start), Err(ErrorCode::TargetBlocked));
    assert_eq!(code_at(start + BELIEVED_FOR / 2), Err(ErrorCode::TargetBlocked));
    assert_eq!(code_at(start + BELIEVED_FOR), Err(ErrorCode::TargetBlocked), "the old list serves on");
    assert_eq!(code_at(start + BELIEVED_FOR), Ok(()));
}

#[test]
fn a_full_cache_drops_what_is_too_old_and_else_the_oldest() {
    let mut cache = Cache::new(2);
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let addresses: Arc<[SocketAddr]> = Arc::new(["8.8.8.8:443".parse().unwrap()]);
    let none = Arc::clone(&cache.allowed);
    cache.keep("a", Arc::clone(&addresses), at(0), &none);
    cache.keep("b", Arc::clone(&addresses), at(1), &none);
    cache.keep("a", Arc::clone(&addresses), at(2), &none);
    assert_eq!(cache.by_origin.len(), 2, "an origin that is known takes no new place");
    cache.keep("c", Arc::clone(&addresses), at(3), &none);
    assert!(matches!(cache.get("b", at(3), &none), Cached::Nothing), "the oldest went");
    assert!(matches!(cache.get("a", at(3), &none), Cached::Fresh(_)));
    cache.keep("d", Arc::clone(&addresses), at(40), &none);
    assert_eq!(cache.by_origin.len(), 1, "both were too old");
    assert!(matches!(cache.get("d", at(40), &none), Cached::Fresh(_)));
}

#[test]
fn the_systems_own_resolver_and_interfaces_answer() {
    let found = super::system_lookup()("127.0.0.1").unwrap();
    assert_eq!(found, ips(&["127.0.0.1"]));
    assert!(super::system_interfaces()().unwrap().iter().any(IpAddr::is_loopback));
}

#[test]
fn the_inbox_is_open_and_opens_nothing_else_at_its_origin() {
    for (base, addresses) in [
        ("http://127.0.0.1:8080", &["127.0.0.1"][..]),
        ("http://hooks.internal/hookpost", &["10.0.0.7"]),
        ("https://hooks.internal", &["192.168.1.4"]),
        ("http://localhost:8080", &["127.0.0.1", "::1"]),
    ] {
        let guard = guard_with(&[], always(addresses));
        let inbox = url(&format!("{base}/in/abc?status=500"));
        let before = guard.resolve(&inbox, far());
        failure(before, ErrorCode::TargetBlocked);
        guard.open_inbox(OwnInbox::below(base).unwrap());
        // In both orders, and again from the cache.
        for _ in 0..2 {
            for path in ["/v1/events", "/in/", "/in/abc/d", "/", "/in/%2e%2e/v1/events"] {
                let other = url(&format!("{base}{path}"));
                failure(guard.resolve(&other, far()), ErrorCode::TargetBlocked);
                assert!(guard.check_new(&other, far()).is_err(), "{other}");
            }
            let found = guard.resolve(&inbox, far()).unwrap();
            assert_eq!(found[0].ip(), ips(addresses)[0], "{inbox}");
            guard.check_new(&inbox, far()).unwrap();
        }
    }
}

#[test]
fn the_inbox_opens_no_address_that_no_setting_opens() {
    for address in ["169.254.169.254", "224.0.0.1", "fe80::1"] {
        let guard = guard_with(&[], always(&[address]));
        guard.open_inbox(OwnInbox::below("https://hooks.example.com").unwrap());
        let inbox = url("https://hooks.example.com/in/abc");
        failure(guard.resolve(&inbox, far()), ErrorCode::TargetBlocked);
    }
}
