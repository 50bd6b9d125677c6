use super::*;
use crate::store::fixtures;

/// Webhook of a tenant with this number.
fn webhook(seq: u32, tenant: &str) -> Arc<Webhook> {
    Arc::new(Webhook { seq: seq.into(), ..fixtures::webhook(seq, tenant) })
}

fn tenant(text: &str) -> Tenant {
    text.parse().unwrap()
}

fn counts(directory: &Directory, name: &str) -> (u32, u64) {
    (directory.webhook_count(&tenant(name)), directory.queued(&tenant(name)))
}

#[test]
fn queued_deliveries_are_counted_at_once_and_those_of_a_job_that_is_undone_no_more() {
    use DeliveryStatus::{Delivered, Pending, Retrying};
    let mut directory = Directory::default();
    directory.put(webhook(1, "acme"));
    directory.put(webhook(2, "acme"));
    directory.count_created(1);
    directory.count_created(2);
    assert_eq!(counts(&directory, "acme"), (2, 2));
    directory.end_job();
    directory.count_moved(1, Pending, Retrying);
    directory.count_created(1);
    directory.count_moved(2, Pending, Delivered);
    assert_eq!(counts(&directory, "acme"), (2, 2));
    directory.count_created(1);
    directory.undo_job();
    directory.end_job();
    assert_eq!(counts(&directory, "acme"), (2, 2));
    directory.count_moved(1, Retrying, Delivered);
    directory.count_moved(1, Delivered, Pending);
    directory.count_moved(2, Pending, Delivered);
    directory.end_job();
    assert_eq!(counts(&directory, "acme"), (2, 1));
    // A changed webhook keeps its counts.
    directory.put(webhook(1, "acme"));
    assert_eq!(counts(&directory, "acme"), (2, 1));
    assert_eq!(counts(&directory, "globex"), (0, 0));
}

#[test]
fn nothing_is_kept_of_a_tenant_whose_webhooks_are_deleted_and_swept() {
    let mut directory = Directory::default();
    for seq in 1..=3 {
        directory.put(webhook(seq, "acme"));
    }
    directory.put(webhook(4, "globex"));
    directory.count_created(1);
    directory.end_job();
    for seq in 1..=4 {
        directory.apply(&Change::WebhookGone { webhook_seq: seq });
    }
    assert_eq!(counts(&directory, "acme"), (0, 1));
    assert_eq!((directory.tenants.len(), directory.counts.len()), (1, 1));
    directory.count_moved(1, DeliveryStatus::Pending, DeliveryStatus::Discarded);
    directory.undo_job();
    directory.end_job();
    assert_eq!(counts(&directory, "acme"), (0, 1));
    directory.count_moved(1, DeliveryStatus::Pending, DeliveryStatus::Discarded);
    directory.end_job();
    assert!(directory.tenants.is_empty() && directory.counts.is_empty());
}
