//! `hookpost listen --forward-to`: deliveries of a running server, forwarded to an endpoint of this machine.
//!
//! A webhook to the built-in inbox takes the deliveries for as long as the command runs. The command reads them over the
//! API, so the server needs no way to this machine. The description of the webhook says until when it is in use: a killed
//! command leaves it behind, and the next one removes it then.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use super::CliError;
use super::api::{Api, ApiFlags, client};
use super::output::{Color, OutputFlags, Style, note, print, printable};
use super::resource::{Query, rows, text};
use super::tail::Watch;
use crate::clock::Clock;
use crate::delivery::http::client::{Client, ClientResult, Method, Outgoing};
use crate::domain::secret::Secret;
use crate::domain::time::{HOUR, parse_rfc3339, rfc3339_seconds};

/// Time between two looks for deliveries.
const ROUND: Duration = Duration::from_secs(1);
/// Time limit of the endpoint, the longest that a webhook can have.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often the description of the webhook is renewed. It says an hour.
const RENEWAL: Duration = Duration::from_secs(30 * 60);
/// Beginning of the description of a webhook that a command made; the end of its use follows.
const MARK: &str = "hookpost listen, in use until ";
/// Attempts that are remembered as forwarded.
const REMEMBERED: usize = 2_000;
/// Headers that belong to a connection.
const OF_CONNECTION: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

#[derive(Args)]
#[command(next_help_heading = "Options with --forward-to")]
pub(super) struct ForwardFlags {
    /// URL of your endpoint, such as http://localhost:3000/hook. Takes deliveries of a running server, which need not be
    /// able to reach this machine, until Ctrl-C
    #[arg(long, value_name = "URL", conflicts_with_all = ["listen", "status", "delay_ms", "public_key"])]
    pub(super) forward_to: Option<Url>,
    /// Event types to forward: names, content.* for everything below content; everything if unset
    #[arg(long, value_name = "TYPE", value_delimiter = ',', requires = "forward_to")]
    events: Vec<String>,
    /// Tenant whose events are forwarded
    #[arg(long, requires = "forward_to")]
    tenant: Option<String>,
    #[command(flatten)]
    api: ApiFlags,
}

/// Webhook of a running command, and where its deliveries go.
struct Forwarding<'a> {
    to: &'a Url,
    api: Api,
    client: Client,
    webhook_id: String,
    output: OutputFlags,
    style: Style,
}

impl ForwardFlags {
    /// Forwards to `to` until a signal arrives.
    pub(super) fn run(
        &self,
        to: &Url,
        profile: Option<&str>,
        secret: Option<&Secret>,
        output: OutputFlags,
    ) -> Result<(), CliError> {
        if !matches!(to.scheme(), "http" | "https") {
            return Err(CliError::Other(format!("--forward-to: {to} must begin with http:// or https://")));
        }
        let api = self.api.client()?;
        let stop = stop_signal()?;
        remove_unused(&api)?;
        let tenant = Query::default().and("tenant", self.tenant.as_deref());
        let inbox = tenant.call(&api, Method::POST, &["v1", "inbox"])?.json()?;
        let mut settings = Map::new();
        settings.insert("url".to_owned(), inbox["url"].clone());
        let events = if self.events.is_empty() { vec!["*".to_owned()] } else { self.events.clone() };
        settings.insert("events".to_owned(), events.clone().into());
        settings.insert("description".to_owned(), description().into());
        let optional =
            [("tenant", self.tenant.as_deref()), ("profile", profile), ("secret", secret.map(Secret::as_str))];
        settings.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
        let webhook = api.post(&["v1", "webhooks"], Value::Object(settings).to_string().as_bytes())?.json()?;
        let webhook_id = text(&webhook["id"]);
        let forwarding =
            Forwarding { to, api, client: client(0, None)?, webhook_id, output, style: Style::of_stdout() };
        let begun = json!({
            "webhook_id": forwarding.webhook_id,
            "secret": webhook["secret"],
            "events": events,
            "forward_to": to.as_str(),
        });
        let greeting = || {
            format!(
                "Forwarding {} to {to}\nThe deliveries are signed with the secret {}\nCtrl-C ends this and removes the webhook {}.\n",
                events.join(", "),
                text(&webhook["secret"]),
                forwarding.webhook_id
            )
        };
        let result = output.print(&begun, greeting).and_then(|()| forwarding.run(&stop));
        forwarding.remove()?;
        result
    }
}

impl Forwarding<'_> {
    fn run(&self, stop: &Receiver<()>) -> Result<(), CliError> {
        let mut watch = Watch::default();
        let mut forwarded: VecDeque<String> = VecDeque::new();
        let mut renewed = Instant::now();
        let mut was_lost = false;
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(ROUND) {
            if renewed.elapsed() > RENEWAL {
                self.renew()?;
                renewed = Instant::now();
            }
            let round = match watch.round(&self.api, || Query::default().and("webhook_id", Some(&self.webhook_id))) {
                Ok(round) => round,
                Err(error) if error.may_pass() => {
                    if !was_lost {
                        note(&format!("hookpost: {error} Trying again."));
                    }
                    was_lost = true;
                    continue;
                }
                Err(error) => return Err(error),
            };
            was_lost = false;
            for delivery in round.deliveries.iter().filter(|delivery| delivery["last_attempt"].is_object()) {
                self.forward(&text(&delivery["id"]), &mut forwarded)?;
            }
        }
        Ok(())
    }

    /// Sends the request of a delivery's last attempt to the endpoint, once.
    fn forward(&self, id: &str, forwarded: &mut VecDeque<String>) -> Result<(), CliError> {
        let delivery = self.api.get(&["v1", "deliveries", id], &[])?.json()?;
        let Some(attempt) = rows(&delivery["attempts"]).last() else { return Ok(()) };
        let attempt_id = text(&attempt["id"]);
        if forwarded.contains(&attempt_id) {
            return Ok(());
        }
        forwarded.push_back(attempt_id);
        if forwarded.len() > REMEMBERED {
            forwarded.pop_front();
        }
        let request = &attempt["request"];
        let headers = request["headers"].as_object().into_iter().flatten();
        let headers: Vec<(String, String)> = headers
            .filter(|(name, _)| !OF_CONNECTION.contains(&name.to_ascii_lowercase().as_str()))
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        let body = text(&request["body"]);
        let outgoing =
            Outgoing { url: self.to.as_str(), tenant: "", headers: &headers, body: body.as_bytes(), tls: None };
        let sent = self.client.post(&outgoing, TIMEOUT);
        print(&self.show(&delivery, attempt, &outgoing, &sent))
    }

    /// Returns a forwarded request with both answers.
    fn show(&self, delivery: &Value, attempt: &Value, sent: &Outgoing<'_>, result: &ClientResult) -> String {
        let inbox_code = &attempt["response"]["code"];
        let body = String::from_utf8_lossy(sent.body);
        let answer = result.answer.as_ref();
        let answer_body = answer.map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
        let duration_ms = u64::try_from(result.duration.as_millis()).unwrap_or(u64::MAX);
        if self.output.json {
            let headers: Map<_, _> = sent.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            let error = result.failure.as_ref().filter(|_| answer.is_none()).map(|failure| failure.message.as_str());
            return json!({
                "delivery_id": delivery["id"],
                "event_id": delivery["event_id"],
                "event_type": delivery["event_type"],
                "request": {"method": "POST", "url": sent.url, "headers": headers, "body": body},
                "inbox": {"code": inbox_code, "error": attempt["error"]["message"]},
                "endpoint": {
                    "code": answer.map(|answer| answer.code),
                    "body": answer_body,
                    "duration_ms": duration_ms,
                    "error": error,
                },
            })
            .to_string();
        }
        let target = &self.to[url::Position::BeforePath..];
        let mut said =
            format!("POST {} {} ({})\n", printable(target), text(&delivery["event_type"]), text(&delivery["id"]));
        for (name, value) in sent.headers {
            // Writing to a string cannot fail.
            let _ = writeln!(said, "  {}: {}", self.style.paint(&printable(name), Color::Dim), printable(value));
        }
        said += &format!("{}\n", printable(&body));
        let inbox = Some(text(inbox_code)).filter(|code| !code.is_empty());
        said += &format!("  The inbox answered {}.", inbox.as_deref().unwrap_or("nothing"));
        said += &match (answer, &result.failure) {
            (Some(answer), _) => {
                let color = if (200..300).contains(&answer.code) { Color::Green } else { Color::Red };
                let code = self.style.paint(&answer.code.to_string(), color);
                let first = answer_body.unwrap_or_default();
                let first: String = first.lines().next().unwrap_or_default().chars().take(200).collect();
                format!(" {} answered {code} in {duration_ms} ms: {}\n", self.to, printable(&first))
            }
            (None, failure) => {
                let reason = failure.as_ref().map(|failure| failure.message.as_str()).unwrap_or_default();
                format!(" {}: {}\n", self.to, self.style.paint(reason, Color::Red))
            }
        };
        said
    }

    fn renew(&self) -> Result<(), CliError> {
        let change = json!({"description": description()}).to_string();
        match self.api.call(Method::PATCH, &["v1", "webhooks", &self.webhook_id], &[], change.as_bytes()) {
            Err(error) if !error.may_pass() => Err(error),
            _ => Ok(()),
        }
    }

    fn remove(&self) -> Result<(), CliError> {
        let removed = self.api.call(Method::DELETE, &["v1", "webhooks", &self.webhook_id], &[], &[]);
        removed.map(drop).map_err(|error| {
            let id = &self.webhook_id;
            CliError::Other(format!(
                "the webhook {id} could not be removed, the next listen does so in an hour: {error}"
            ))
        })
    }
}

/// Returns the description of a webhook that is in use for an hour.
fn description() -> String {
    format!("{MARK}{}", rfc3339_seconds(Clock::machine().now_ms() + HOUR))
}

/// Removes webhooks that killed commands left behind.
fn remove_unused(api: &Api) -> Result<(), CliError> {
    let now = Clock::machine().now_ms();
    let found = api.get(&["v1", "webhooks"], &[("q", MARK.trim_end()), ("limit", "250")])?.json()?;
    for webhook in rows(&found["data"]) {
        let description = text(&webhook["description"]);
        let until = description.strip_prefix(MARK).and_then(|time| parse_rfc3339(time).ok());
        if until.is_some_and(|until| until < now) {
            let id = text(&webhook["id"]);
            api.call(Method::DELETE, &["v1", "webhooks", &id], &[], &[])?;
            note(&format!("Removed the webhook {id}, which a killed listen left behind."));
        }
    }
    Ok(())
}

/// Returns a channel that gets a message on the first SIGINT or SIGTERM. The second one ends the process.
pub(super) fn stop_signal() -> Result<Receiver<()>, CliError> {
    let (sender, receiver) = channel();
    let (ready, is_ready) = channel();
    let unwatched = || CliError::because("signals cannot be received");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unwatched())?;
    let watch = async move {
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        let (mut interrupt, mut terminate) = match signals {
            (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
            (Err(error), _) | (_, Err(error)) => return drop(ready.send(Err(error))),
        };
        let _ = ready.send(Ok(()));
        for is_second in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if is_second {
                std::process::exit(130);
            }
            let _ = sender.send(());
        }
    };
    let run = move || runtime.block_on(watch);
    std::thread::Builder::new().name("signals".to_owned()).spawn(run).map_err(unwatched())?;
    // The thread always sends one message.
    is_ready.recv().unwrap_or(Ok(())).map_err(unwatched())?;
    Ok(receiver)
}
