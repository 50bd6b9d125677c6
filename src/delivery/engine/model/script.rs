//! Random choice of steps.

use super::receivers::Mood;
use super::world::World;
use crate::actions::delivery::bulk::{BulkAction, Selection};
use crate::actions::publish::NewEvent;
use crate::actions::replay::Replay;
use crate::actions::unchanged::Unchanged;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::retry::{Exhausted, MeasuredFrom, ScheduleSpec};
use crate::domain::time::{HOUR, MINUTE, Millis, SECOND};
use crate::domain::webhook::{WebhookSettings, WebhookState};
use crate::store::bulk::Span;
use crate::store::delivery::DeliveryFilter;

const TENANTS: [&str; 2] = ["a", "b"];
const TYPES: [&str; 2] = ["order.paid", "user"];

/// Plays a seed.
pub(super) fn play(world: &mut World) {
    for _ in 0..world.random.between(1, 5) {
        create(world);
    }
    for _ in 0..world.random.between(10, 110) {
        step(world);
    }
}

/// Resumes every webhook that does not send.
pub(super) fn resume_all(world: &mut World) {
    for seq in world.book.webhooks() {
        if world.book.hooks[&seq].state != WebhookState::Active {
            set_active(world, seq, true, "resume");
        }
    }
}

fn step(world: &mut World) {
    match world.random.below(100) {
        0..17 => publish(world),
        17..20 => {
            world.calm();
            world.check_not_stuck();
        }
        20..42 => {
            world.take();
        }
        42..55 if !world.flights.is_empty() => {
            let index = world.random.below(world.flights.len());
            world.come_back(index);
        }
        42..65 if !world.outcomes.is_empty() => {
            let index = world.random.below(world.outcomes.len());
            world.record(index);
        }
        42..76 => {
            world.schedule();
        }
        76..84 => pass(world),
        84 => world.crash(),
        85 => set_clock(world),
        86..88 => {
            world.sweep();
        }
        88 => set_mood(world),
        89..91 => change(world),
        91..93 => toggle(world),
        93 => remove_or_create(world),
        94..97 => retry_one(world),
        97 => discard_one(world),
        98 => bulk(world),
        _ => replay(world),
    }
}

fn pass(world: &mut World) {
    let by = match world.random.below(10) {
        0..5 => world.random.between(1, 1_500),
        5..8 => world.random.between(1_000, MINUTE),
        8 => world.random.between(MINUTE, 30 * MINUTE),
        _ => world.random.between(HOUR, 30 * HOUR),
    };
    world.note(|| format!("pass {by}"));
    world.advance(by);
}

fn set_clock(world: &mut World) {
    let by: Millis = match world.random.below(4) {
        0 => world.random.between(1, 2 * SECOND),
        1 => world.random.between(HOUR, 48 * HOUR),
        2 => -world.random.between(1, 2 * SECOND),
        _ => -world.random.between(HOUR, 48 * HOUR),
    };
    world.set_clock(by);
}

fn publish(world: &mut World) {
    let tenant = world.random.pick(&TENANTS);
    let event_type = world.random.pick(&TYPES);
    for _ in 0..world.random.pick(&[1, 1, 1, 2, 4]) {
        publish_event(world, tenant, event_type);
    }
}

fn publish_event(world: &mut World, tenant: &str, event_type: &str) {
    let new = NewEvent {
        event_type: event_type.parse().unwrap(),
        tenant: tenant.parse().unwrap(),
        id: None,
        created_ms: None,
        data: "{}".into(),
        previous_data: None,
        idempotency: None,
        resent_from_seq: None,
    };
    let receipt = world.act(|actions, _| actions.publish(new).wait()).unwrap();
    world.note(|| format!("publish to {tenant}: {} deliveries", receipt.deliveries.len()));
    world.check_published(receipt.deliveries.len());
    world.book.accepted.extend(receipt.deliveries.iter().map(|(id, _)| id.to_string()));
}

/// Publishes an event, of which the engine is told. Returns the number of its newest delivery.
pub(super) fn publish_one(world: &mut World, tenant: &str) -> i64 {
    publish_event(world, tenant, TYPES[0]);
    world.tell();
    *world.book.rows.keys().last().unwrap()
}

fn url(world: &mut World) -> String {
    format!("https://93.184.216.{}/{}", world.random.between(1, world.hosts), world.random.below(3))
}

fn schedule(world: &mut World) -> ScheduleSpec {
    let delays: [&[f64]; 6] = [&[], &[1.0], &[1.0, 5.0], &[0.0, 0.5, 60.0], &[10.0, 10.0], &[3_600.0]];
    ScheduleSpec {
        delays_s: world.random.pick(&delays).to_vec(),
        measured_from: if world.random.chance(70) { MeasuredFrom::PreviousAttempt } else { MeasuredFrom::FirstFailure },
        exhausted: if world.random.chance(50) { Exhausted::Disable } else { Exhausted::DeadLetter },
    }
}

fn create(world: &mut World) {
    let tenant = world.random.pick(&TENANTS);
    let rate_limit = world.random.pick(&[None, None, Some(1), Some(3), Some(50)]);
    let settings = WebhookSettings {
        url: Some(url(world)),
        events: Some(vec![world.random.pick(&["*", "*", "order.*", "user"]).to_owned()]),
        tenant: Some(tenant.to_owned()),
        profile: Some(world.random.pick(&["generic", "standard", "iverton"]).to_owned()),
        max_in_flight: Some(world.random.pick(&[1, 2, 8])),
        rate_limit_per_s: Some(rate_limit),
        ordered: Some(world.random.chance(40)),
        retry: Some(Some(schedule(world).into())),
        ..WebhookSettings::default()
    };
    create_with(world, settings);
    set_mood(world);
}

pub(super) fn create_with(world: &mut World, settings: WebhookSettings) {
    let text = serde_json::to_string(&settings).unwrap();
    let webhook = world.act(|actions, caller| actions.create_webhook(caller, settings)).unwrap();
    world.note(|| format!("create {}: {text}", webhook.seq));
    world.book.moods.insert(webhook.seq, Mood::Good);
    world.check_changes("create", false, false, false);
}

fn set_mood(world: &mut World) {
    if let Some(seq) = any_webhook(world) {
        let mood = world.random.pick(&Mood::ALL);
        world.note(|| format!("mood of {seq}: {mood:?}"));
        world.book.moods.insert(seq, mood);
    }
}

fn any_webhook(world: &mut World) -> Option<i64> {
    let webhooks = world.book.webhooks();
    (!webhooks.is_empty()).then(|| world.random.pick(&webhooks))
}

fn change(world: &mut World) {
    let Some(seq) = any_webhook(world) else { return };
    let mut settings = WebhookSettings::default();
    match world.random.below(5) {
        0 => settings.url = Some(url(world)),
        1 => settings.max_in_flight = Some(world.random.pick(&[1, 2, 8])),
        2 => settings.rate_limit_per_s = Some(world.random.pick(&[None, Some(2), Some(100)])),
        3 => settings.ordered = Some(!world.book.is_ordered(seq)),
        _ => settings.retry = Some(Some(schedule(world).into())),
    }
    world.note(|| format!("change {seq}: {}", serde_json::to_string(&settings).unwrap()));
    apply(world, seq, settings);
}

fn apply(world: &mut World, seq: i64, settings: WebhookSettings) {
    let id = world.book.hooks[&seq].id.clone();
    let (resumes, discards) = match settings.waiting.as_deref() {
        Some("discard") => (false, true),
        Some(_) => (true, true),
        None => (false, false),
    };
    world.act(|actions, caller| actions.change_webhook(caller, &id, settings, Unchanged::default())).unwrap();
    world.book.recent.remove(&seq);
    world.check_changes("change", resumes, discards, false);
}

fn set_active(world: &mut World, seq: i64, active: bool, waiting: &str) {
    world.note(|| if active { format!("activate {seq}: {waiting}") } else { format!("pause {seq}") });
    let waiting = active.then(|| waiting.to_owned());
    apply(world, seq, WebhookSettings { active: Some(active), waiting, ..WebhookSettings::default() });
}

fn toggle(world: &mut World) {
    let Some(seq) = any_webhook(world) else { return };
    let is_active = world.book.hooks[&seq].state == WebhookState::Active;
    let waiting = world.random.pick(&["resume", "resume", "discard"]);
    set_active(world, seq, !is_active, waiting);
}

fn remove_or_create(world: &mut World) {
    let seq = any_webhook(world).filter(|_| world.random.chance(40));
    let Some(seq) = seq else { return create(world) };
    let id = world.book.hooks[&seq].id.clone();
    world.note(|| format!("delete {seq}"));
    world.act(|actions, caller| actions.delete_webhook(caller, &id, Unchanged::default()).wait()).unwrap();
    world.check_changes("delete", false, true, false);
}

/// Returns the number of any delivery, more often of one in these states.
fn any_delivery(world: &mut World, wanted: &[DeliveryStatus]) -> Option<i64> {
    let all: Vec<i64> = world.book.rows.keys().copied().collect();
    let fitting: Vec<i64> = all.iter().copied().filter(|seq| wanted.contains(&world.book.rows[seq].status)).collect();
    let choices = if fitting.is_empty() || world.random.chance(10) { &all } else { &fitting };
    (!choices.is_empty()).then(|| world.random.pick(choices))
}

fn retry_one(world: &mut World) {
    use DeliveryStatus::{Failed, Pending, Retrying};
    if let Some(seq) = any_delivery(world, &[Failed, Pending, Retrying]) {
        retry(world, seq);
    }
}

pub(super) fn retry(world: &mut World, seq: i64) {
    let id = world.id_of(seq);
    let result = world.act(|actions, caller| actions.retry(caller, &id).wait());
    world.note(|| format!("retry {seq}: {}", result.is_ok()));
    world.check_changes("retry", false, false, true);
}

fn discard_one(world: &mut World) {
    use DeliveryStatus::{Pending, Retrying};
    let Some(seq) = any_delivery(world, &[Pending, Retrying]) else { return };
    let id = world.id_of(seq);
    let result = world.act(|actions, caller| actions.discard(caller, &id).wait());
    world.note(|| format!("discard {seq}: {}", result.is_ok()));
    world.check_changes("discard", false, true, false);
}

fn bulk(world: &mut World) {
    let Some(seq) = any_webhook(world) else { return };
    let action = if world.random.chance(70) { BulkAction::Retry } else { BulkAction::Discard };
    let webhooks = world.book.hooks[&seq].id.parse().into_iter().collect();
    let selection = Selection::Matching(DeliveryFilter { webhooks, ..DeliveryFilter::default() });
    let result = world.act(|actions, caller| actions.bulk(caller, action, &selection, false, &|| true));
    world.note(|| format!("{action:?} all of {seq}: {result:?}"));
    world.check_changes("bulk", false, action == BulkAction::Discard, action == BulkAction::Retry);
}

fn replay(world: &mut World) {
    let Some(seq) = any_webhook(world) else { return };
    let id = world.book.hooks[&seq].id.clone();
    let only_failed = world.random.chance(60);
    let replay = Replay { span: Span { since: 0, until: Millis::MAX }, event_types: Vec::new(), only_failed };
    let result = world.act(|actions, caller| actions.replay_webhook(caller, &id, &replay, false, &|| true)).unwrap();
    world.note(|| format!("replay {seq}: {result}"));
    world.check_published(result as usize);
}
