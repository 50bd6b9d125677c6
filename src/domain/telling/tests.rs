use proptest::collection::vec;
use proptest::prelude::*;

use super::daily::*;
use super::*;
use crate::domain::contact::{Channel, QuietHours, QuietHoursSpec, Status};
use crate::domain::id::ContactId;
use crate::domain::time::{DAY, HOUR, parse_rfc3339};
use crate::domain::zone::Zone;

const LATER: Millis = 10 * HOUR;

fn contact(owner: Option<&str>, patterns: &[&str]) -> Contact {
    let tenant: Option<Tenant> = owner.map(|text| text.parse().unwrap());
    Contact {
        seq: 1,
        id: ContactId::from_bytes([1; 16]),
        name: "On call".to_owned(),
        channel: Channel::Webhook { webhook_seq: 0 },
        scope: Scope {
            tenant: tenant.clone(),
            webhooks: patterns.iter().map(|pattern| pattern.parse().unwrap()).collect(),
        },
        topics: Topic::VARIANTS.iter().copied().collect(),
        tenant,
        quiet_hours: None,
        created_ms: 0,
        updated_ms: 0,
        status: Status::default(),
    }
}

/// Facts of six webhooks: the even ones of the tenant acme, the odd ones of globex.
fn facts(edges: &[(EdgeKind, i64, i64)], members: &[(i64, i64)]) -> Facts {
    let mut facts = Facts::default();
    for (number, (kind, incident, webhook)) in edges.iter().enumerate() {
        facts.edges.push(Edge {
            seq: number as i64 + 1,
            at_ms: number as i64,
            kind: *kind,
            incident_seq: Some(*incident),
            webhook_seq: Some(*webhook),
            contact_seq: None,
        });
    }
    let member = |(incident_seq, webhook_seq): &(i64, i64)| Member {
        incident_seq: *incident_seq,
        webhook_seq: *webhook_seq,
        opened_ms: 0,
        is_certificate: false,
    };
    facts.members.extend(members.iter().map(member));
    for seq in 0..6 {
        let (tenant, host) = (if seq % 2 == 0 { "acme" } else { "globex" }, format!("h{seq}.example:443"));
        let webhook = WebhookFacts {
            tenant: tenant.parse().unwrap(),
            id: WebhookId::from_bytes([seq as u8; 16]),
            description: String::new(),
            url: format!("https://{host}/"),
            host,
        };
        facts.webhooks.insert(seq, webhook);
    }
    facts
}

fn told(contact: &Contact, facts: &Facts) -> Vec<(i64, IncidentChange)> {
    match decide(contact, &Told::default(), facts, LATER) {
        Decision::Tell(notices) => match notices.as_slice() {
            [Notice::Incidents(changes)] => changes.clone(),
            other => panic!("{other:?}"),
        },
        Decision::Pass => Vec::new(),
        Decision::Wait => panic!("nothing to wait for"),
    }
}

#[test]
fn a_contact_is_told_what_changed_for_its_webhooks_in_all() {
    use EdgeKind::{Began, Ended};
    use IncidentChange::{Closed, Opened};
    let (all, acme, pattern) = (contact(None, &[]), contact(Some("acme"), &[]), contact(None, &["h3.*"]));
    for (edges, members, of_all, of_acme, of_pattern) in [
        // Two webhooks of two tenants come into an incident, then one is out of it.
        (&[(Began, 7, 0), (Began, 7, 1)][..], &[(7, 0), (7, 1)][..], &[(7, Opened)][..], &[(7, Opened)][..], &[][..]),
        (&[(Began, 7, 1), (Began, 7, 3)], &[(7, 1), (7, 3)], &[(7, Opened)], &[], &[(7, Opened)]),
        (&[(Ended, 7, 0)], &[(7, 1)], &[], &[(7, Closed)], &[]),
        (&[(Ended, 7, 0), (Ended, 7, 1)], &[], &[(7, Closed)], &[(7, Closed)], &[]),
        // Another webhook joins.
        (&[(Began, 7, 3)], &[(7, 0), (7, 3)], &[], &[], &[(7, Opened)]),
        // Over before anything was told, and back before the end was told.
        (&[(Began, 7, 0), (Ended, 7, 0)], &[], &[(7, Closed)], &[(7, Closed)], &[]),
        (&[(Ended, 7, 0), (Began, 7, 0)], &[(7, 0)], &[], &[], &[]),
        (&[(Began, 8, 1), (Began, 9, 2)], &[(8, 1), (9, 2)], &[(8, Opened), (9, Opened)], &[(9, Opened)], &[]),
    ] {
        let facts = facts(edges, members);
        assert_eq!(told(&all, &facts), of_all, "{edges:?}");
        assert_eq!(told(&acme, &facts), of_acme, "{edges:?}");
        assert_eq!(told(&pattern, &facts), of_pattern, "{edges:?}");
    }
}

#[test]
fn an_incident_for_a_certificate_is_told_as_such_and_again_once_deliveries_fail() {
    use EdgeKind::{Began, Certificate, CertificateBegan, CertificateOver, Ended, Worsened};
    use IncidentChange::{Closed, Ending, Opened};
    // Whether a certificate is the only trouble of each webhook that is in the incident.
    for (edges, members, expected) in [
        (&[(CertificateBegan, 7, 0), (CertificateBegan, 7, 1)][..], &[(0, true), (1, true)][..], &[(7, Ending)][..]),
        (&[(CertificateBegan, 7, 0), (Began, 7, 1)], &[(0, true), (1, false)], &[(7, Opened)]),
        (&[(Worsened, 7, 0)], &[(0, false), (1, true)], &[(7, IncidentChange::Worsened)]),
        // Another webhook of the host fails.
        (&[(Began, 7, 1)], &[(0, true), (1, false)], &[(7, IncidentChange::Worsened)]),
        (&[(Began, 7, 1), (CertificateOver, 7, 0)], &[(1, false)], &[(7, IncidentChange::Worsened)]),
        // One that was failing already, and one that fails no longer.
        (&[(Worsened, 7, 1)], &[(0, false), (1, false)], &[]),
        (&[(Ended, 7, 1), (CertificateBegan, 7, 1)], &[(1, true)], &[]),
        (&[(CertificateOver, 7, 0)], &[], &[(7, Closed)]),
        // The opening names the certificate already.
        (&[(CertificateBegan, 7, 0), (Certificate, 7, 0)], &[(0, true)], &[(7, Ending)]),
    ] {
        let mut facts = facts(edges, &[]);
        let member = |(webhook_seq, is_certificate): &(i64, bool)| Member {
            incident_seq: 7,
            webhook_seq: *webhook_seq,
            opened_ms: 0,
            is_certificate: *is_certificate,
        };
        facts.members = members.iter().map(member).collect();
        assert_eq!(told(&contact(None, &[]), &facts), expected, "{edges:?}");
        if edges.len() == 2 && edges[1].0 == Certificate {
            let contact = Contact { topics: [Topic::Certificate].into(), ..contact(None, &[]) };
            let decision = decide(&contact, &Told::default(), &facts, LATER);
            assert_eq!(decision, Decision::Tell(vec![Notice::Certificates(vec![2])]));
        }
    }
}

#[test]
fn mute_and_topics_leave_messages_out_and_an_incident_opened_again_is_said_so() {
    use EdgeKind::{Began, Ended};
    let opened = facts(&[(Began, 7, 0)], &[(7, 0)]);
    let mut muted = opened.clone();
    muted.muted.insert((7, None));
    assert_eq!(told(&contact(None, &[]), &muted), []);
    assert_eq!(told(&contact(Some("acme"), &[]), &muted), [(7, IncidentChange::Opened)]);
    let mut again = opened.clone();
    again.reopened.insert(7);
    assert_eq!(told(&contact(None, &[]), &again), [(7, IncidentChange::Reopened)]);
    let only = |topic| Contact { topics: [topic].into(), ..contact(None, &[]) };
    assert_eq!(told(&only(Topic::Closed), &opened), []);
    assert_eq!(told(&only(Topic::Opened), &facts(&[(Ended, 7, 0)], &[])), []);
    assert_eq!(told(&only(Topic::Disk), &opened), []);
}

#[test]
fn edges_gather_for_half_a_minute_and_messages_keep_a_distance() {
    let facts = facts(&[(EdgeKind::Began, 7, 0)], &[(7, 0)]);
    let contact = contact(None, &[]);
    let at = |told_ms, now| decide(&contact, &Told { told_ms, ..Told::default() }, &facts, now);
    assert_eq!(at(None, GATHERING - 1), Decision::Wait);
    assert!(matches!(at(None, GATHERING), Decision::Tell(_)));
    assert_eq!(at(Some(0), PAUSE - 1), Decision::Wait);
    assert!(matches!(at(Some(0), PAUSE), Decision::Tell(_)));
    assert!(matches!(at(Some(LATER), -1), Decision::Tell(_)), "a clock that was set back delays nothing");
    let past = Told { edge_seq: 1, ..Told::default() };
    assert_eq!(decide(&contact, &past, &facts, LATER), Decision::Pass);
}

#[test]
fn messages_wait_for_the_end_of_quiet_hours() {
    let quiet = QuietHoursSpec { from: "22:00".into(), to: "07:00".into(), time_zone: "Europe/Berlin".into() };
    let contact = Contact { quiet_hours: Some(QuietHours::parse(&quiet).unwrap()), ..contact(None, &[]) };
    let facts = facts(&[(EdgeKind::Began, 7, 0)], &[(7, 0)]);
    let at = |text| decide(&contact, &Told::default(), &facts, parse_rfc3339(text).unwrap());
    assert_eq!(at("2026-01-15T23:00:00Z"), Decision::Wait);
    assert!(matches!(at("2026-01-16T06:00:00Z"), Decision::Tell(_)));
    let morning = parse_rfc3339("2026-01-16T07:00:00Z").unwrap();
    let reminds = |now| reminder(&contact, &Told::default(), &facts, now).is_some();
    assert!(!reminds(morning - 2 * HOUR) && reminds(morning));
    let digest = digest(&contact, &Told::default(), &zone_of(&contact, &Zone::UTC), morning + HOUR).unwrap();
    assert_eq!(digest.to_ms, morning, "eight o'clock in Berlin");
}

#[test]
fn a_reminder_comes_a_day_after_the_opening_and_daily_from_then_on() {
    let facts = facts(&[], &[(7, 0), (8, 1)]);
    let all = contact(None, &[]);
    let at = |told: Told, now| reminder(&all, &told, &facts, now);
    assert_eq!(at(Told::default(), DAY - 1), None);
    let both = Notice::Incidents(vec![(7, IncidentChange::StillOpen), (8, IncidentChange::StillOpen)]);
    assert_eq!(both.topic(), Topic::Reminder);
    assert_eq!(at(Told::default(), DAY), Some(both));
    assert_eq!(at(Told { reminded_ms: Some(DAY), ..Told::default() }, 2 * DAY - 1), None);
    assert!(at(Told { reminded_ms: Some(DAY), ..Told::default() }, 2 * DAY).is_some());
    assert_eq!(at(Told { told_ms: Some(DAY), ..Told::default() }, DAY + 1), None);
    let acme = reminder(&contact(Some("acme"), &[]), &Told::default(), &facts, DAY);
    assert_eq!(acme, Some(Notice::Incidents(vec![(7, IncidentChange::StillOpen)])));
    let mut muted = facts.clone();
    muted.muted.extend([(7, None), (8, None)]);
    assert_eq!(reminder(&all, &Told::default(), &muted, DAY), None);
}

#[test]
fn a_digest_is_about_the_time_since_the_last_one_and_comes_at_eight() {
    let contact = contact(None, &[]);
    let time = |text| parse_rfc3339(text).unwrap();
    let before = Told { digest_ms: Some(time("2026-01-15T08:00:00Z")), ..Told::default() };
    assert_eq!(digest(&contact, &before, &Zone::UTC, time("2026-01-16T07:59:59Z")), None);
    let due = digest(&contact, &before, &Zone::UTC, time("2026-01-16T08:00:00Z")).unwrap();
    assert_eq!((due.from_ms, due.to_ms), (time("2026-01-15T08:00:00Z"), time("2026-01-16T08:00:00Z")));
    let late = digest(&contact, &before, &Zone::UTC, time("2026-03-01T12:00:00Z")).unwrap();
    assert_eq!((late.from_ms, late.to_ms), (time("2026-02-27T08:00:00Z"), time("2026-03-01T08:00:00Z")));
    let new = Contact { created_ms: time("2026-01-16T09:00:00Z"), ..contact };
    assert_eq!(digest(&new, &Told::default(), &Zone::UTC, time("2026-01-16T20:00:00Z")), None);
}

#[test]
fn the_machine_and_failing_contacts_are_told_to_the_operator_alone_and_only_what_changed() {
    use EdgeKind::{ClockWrong, ContactFailing, DiskEnough, DiskLow};
    let mut machine = facts(&[(DiskLow, 0, 0), (DiskEnough, 0, 0), (DiskLow, 0, 0), (ClockWrong, 0, 0)], &[]);
    machine.edges.push(Edge { seq: 9, contact_seq: Some(5), ..machine.edges[0] });
    machine.edges[4].kind = ContactFailing;
    let Decision::Tell(notices) = decide(&contact(None, &[]), &Told::default(), &machine, LATER) else { panic!() };
    assert_eq!(
        notices,
        [
            Notice::Disk { is_low: true, edge_seq: 3 },
            Notice::Clock { is_wrong: true, edge_seq: 4 },
            Notice::FailingContacts(vec![5])
        ]
    );
    assert_eq!(decide(&contact(Some("acme"), &[]), &Told::default(), &machine, LATER), Decision::Pass);
    let itself = Contact { seq: 5, topics: [Topic::Opened].into(), ..contact(None, &[]) };
    assert_eq!(decide(&itself, &Told::default(), &machine, LATER), Decision::Pass);
    let passing = facts(&[(DiskLow, 0, 0), (DiskEnough, 0, 0)], &[]);
    assert_eq!(decide(&contact(None, &[]), &Told::default(), &passing, LATER), Decision::Pass);
}

#[test]
fn a_certificate_is_told_thirty_seven_and_one_days_before_and_at_its_end() {
    let end = 100 * DAY;
    for (now, told, expected) in [
        (end - 30 * DAY - 1, None, None),
        (end - 30 * DAY, None, Some(30)),
        (end - 20 * DAY, Some(30), None),
        (end - 7 * DAY, Some(30), Some(7)),
        (end - 2 * DAY, None, Some(7)),
        (end - DAY, Some(7), Some(1)),
        (end, Some(1), Some(0)),
        (end + DAY, Some(0), None),
    ] {
        assert_eq!(certificate_days(end, told, now), expected, "{now}");
    }
}

#[test]
fn a_disk_is_low_below_the_size_of_the_database_and_enough_a_quarter_above() {
    const MB: u64 = 1 << 20;
    assert_eq!(disk_turned(false, 256 * MB, 10 * MB), None);
    assert_eq!(disk_turned(false, 256 * MB - 1, 10 * MB), Some(true));
    assert_eq!(disk_turned(true, 319 * MB, 10 * MB), None);
    assert_eq!(disk_turned(true, 320 * MB, 10 * MB), Some(false));
    assert_eq!(disk_turned(false, 999 * MB, 1_000 * MB), Some(true));
}

#[test]
fn a_clock_is_wrong_after_a_jump_until_it_jumps_back() {
    assert_eq!(clock_turned(0, 4 * MINUTE), (4 * MINUTE, None));
    assert_eq!(clock_turned(4 * MINUTE, MINUTE), (5 * MINUTE, Some(true)));
    assert_eq!(clock_turned(0, -HOUR), (-HOUR, Some(true)));
    assert_eq!(clock_turned(-HOUR, HOUR), (0, Some(false)));
    assert_eq!(clock_turned(HOUR, HOUR), (2 * HOUR, None));
}

/// A change of one webhook, or a round in which contacts are told.
#[derive(Debug, Clone, Copy)]
enum Step {
    Turn(i64),
    Round,
}

proptest! {
    /// Whatever happens between the rounds, a contact knows afterwards of each incident whether it is open for it, hears of
    /// each change once, and hears nothing of what it does not see.
    #[test]
    fn a_contact_always_knows_what_is_open(
        steps in vec(prop_oneof![3 => (0_i64..6).prop_map(Step::Turn), 1 => Just(Step::Round)], 0..60),
        owner in prop::option::of(Just("acme")),
        pattern in prop::option::of(Just("h2.*")),
    ) {
        let contact = contact(owner, pattern.as_slice());
        // Webhooks 0 to 2 share incident 7, the others incident 8.
        let incident_of = |webhook: i64| if webhook < 3 { 7 } else { 8 };
        let mut edges: Vec<(EdgeKind, i64, i64)> = Vec::new();
        let mut failing: BTreeMap<i64, ()> = BTreeMap::new();
        let (mut state, mut known) = (Told::default(), HashSet::new());
        for step in steps.into_iter().chain([Step::Round]) {
            match step {
                Step::Turn(webhook) => {
                    let kind = if failing.remove(&webhook).is_some() { EdgeKind::Ended } else { EdgeKind::Began };
                    if kind == EdgeKind::Began {
                        failing.insert(webhook, ());
                    }
                    edges.push((kind, incident_of(webhook), webhook));
                }
                Step::Round => {
                    let members: Vec<_> = failing.keys().map(|webhook| (incident_of(*webhook), *webhook)).collect();
                    let facts = facts(&edges, &members);
                    if let Decision::Tell(notices) = decide(&contact, &state, &facts, LATER) {
                        let [Notice::Incidents(changes)] = notices.as_slice() else { panic!("{notices:?}") };
                        for (incident, change) in changes {
                            match change {
                                IncidentChange::Closed => { known.remove(incident); }
                                _ => prop_assert!(known.insert(*incident), "told twice that {incident} opened"),
                            }
                        }
                    }
                    state.edge_seq = edges.len() as i64;
                    let open: HashSet<i64> = failing.keys().copied()
                        .filter(|webhook| facts.webhooks[webhook].is_in(&contact.scope)).map(incident_of).collect();
                    prop_assert_eq!(&known, &open);
                }
            }
        }
    }
}
