//! Text formats of metrics.

use std::borrow::Cow;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;

/// Format of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Text format 0.0.4 of Prometheus.
    Prometheus,
}

impl Format {
    pub fn media_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Encodes registries one after the other.
    pub fn encode(self, registries: &[&Registry]) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        for registry in registries {
            encode_registry(&mut text, registry)?;
        }
        match self {
            Format::OpenMetrics => {
                encode_eof(&mut text)?;
                Ok(text)
            }
            Format::Prometheus => Ok(prometheus(&text)),
        }
    }
}

/// Rewrites OpenMetrics as the text format 0.0.4: the lines HELP and TYPE of a counter or of an info have the name of
/// its series, and an info is a gauge (prometheus.io, "Exposition formats").
fn prometheus(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut help: Option<(&str, &str)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
            continue;
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (name, kind) = match kind {
                "counter" => (Cow::Owned(format!("{name}_total")), kind),
                "info" => (Cow::Owned(format!("{name}_info")), "gauge"),
                _ => (Cow::Borrowed(name), kind),
            };
            if let Some((_, help)) = help.take() {
                result += &format!("# HELP {name} {help}\n");
            }
            result += &format!("# TYPE {name} {kind}\n");
            continue;
        }
        if !line.starts_with('#') {
            result += line;
            result.push('\n');
        }
    }
    result
}
