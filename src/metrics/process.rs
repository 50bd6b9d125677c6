//! Metrics of the process, by the names that Prometheus has for all programs. Linux only.

use prometheus_client::registry::Registry;

#[cfg(not(target_os = "linux"))]
pub fn register(_: &mut Registry) {}

/// Registers the values of this moment. A value that the system does not give is left out.
#[cfg(target_os = "linux")]
pub fn register(registry: &mut Registry) {
    use prometheus_client::metrics::counter::ConstCounter;
    use prometheus_client::metrics::gauge::ConstGauge;

    let Ok(process) = procfs::process::Process::myself() else { return };
    if let Ok(stat) = process.stat() {
        let ticks = procfs::ticks_per_second() as f64;
        let cpu = (stat.utime + stat.stime) as f64 / ticks;
        registry.register("process_cpu_seconds", "CPU time of the process, in seconds", ConstCounter::new(cpu));
        let resident = ConstGauge::new((stat.rss * procfs::page_size()) as i64);
        registry.register("process_resident_memory_bytes", "Resident memory of the process", resident);
        let virtual_memory = ConstGauge::new(stat.vsize as i64);
        registry.register("process_virtual_memory_bytes", "Virtual memory of the process", virtual_memory);
        registry.register("process_threads", "Threads of the process", ConstGauge::new(stat.num_threads));
        if let Ok(boot) = procfs::boot_time_secs() {
            let start = ConstGauge::new(boot as f64 + stat.starttime as f64 / ticks);
            registry.register("process_start_time_seconds", "Start of the process, in seconds since 1970", start);
        }
    }
    if let Ok(files) = process.fd_count() {
        registry.register("process_open_fds", "Open file descriptors", ConstGauge::new(files as i64));
    }
    if let Ok(limits) = process.limits()
        && let procfs::process::LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        registry.register("process_max_fds", "Maximum open file descriptors", ConstGauge::new(most as i64));
    }
}
