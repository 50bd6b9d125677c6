use super::*;

#[test]
fn what_is_counted_is_told_in_the_text_with_every_label_from_the_start() {
    let metrics = Metrics::new();
    let nothing = Snapshot {
        webhooks: vec![(WebhookState::Paused, 3)],
        by_webhook: Vec::new(),
        dead_letters: 0,
        pending: 0,
        retrying: 0,
        open_incidents: 0,
        failing_contacts: 0,
        waiting_mails: 0,
        is_delivering: true,
        is_paused: false,
        is_backup_failing: false,
        last_backup_ms: 0,
        oldest_waiting: Duration::ZERO,
        workers: 0,
        busy_workers: 0,
        database_bytes: 0,
        log_bytes: 0,
        tenant_limits: TenantLimits::default(),
        tenant_use: [
            (TenantLimit::Webhooks, 7),
            (TenantLimit::Queued, 0),
            (TenantLimit::Jobs, 0),
            (TenantLimit::Tests, 0),
        ],
    };
    let before = metrics.text(&nothing, Format::OpenMetrics).unwrap();
    assert!(before.contains("hookpost_attempts_total{error_code=\"tls_expired\"} 0\n"));
    assert!(before.ends_with("# EOF\n"), "{before}");
    metrics.attempted(Some(ErrorCode::Timeout), Duration::from_millis(5_000), None);
    metrics.attempted(None, Duration::from_millis(3), Some(Duration::from_millis(2)));
    metrics.committed(3);
    metrics.answered(404);
    metrics.finished(2, 1, 0);
    let text = metrics.text(&nothing, Format::OpenMetrics).unwrap();
    for line in [
        "hookpost_attempts_total{error_code=\"timeout\"} 1",
        "hookpost_attempts_total{error_code=\"none\"} 1",
        "hookpost_attempt_seconds_bucket{le=\"0.0025\"} 0",
        "hookpost_attempt_seconds_bucket{le=\"0.005\"} 1",
        "hookpost_attempt_seconds_bucket{le=\"5.0\"} 2",
        "hookpost_attempt_seconds_bucket{le=\"+Inf\"} 2",
        "hookpost_attempt_seconds_sum 5.003",
        "hookpost_first_attempt_seconds_count 1",
        "hookpost_writer_commit_jobs_bucket{le=\"4.0\"} 1",
        "hookpost_requests_total{status=\"4xx\"} 1",
        "hookpost_deliveries_finished_total{outcome=\"delivered\"} 2",
        "hookpost_tenant_limit{limit=\"requests_per_s\"} 200",
        "hookpost_tenant_use_max{limit=\"webhooks\"} 7",
        "hookpost_webhooks{state=\"paused\"} 3",
        "hookpost_webhooks{state=\"active\"} 0",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} in {text}");
    }
}
