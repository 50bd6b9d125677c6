//! OAuth 2.0 access tokens of webhooks: kept in memory, and requested when they are missing, about to end, or rejected.
//!
//! Owns the tokens, which are never stored or shown. A webhook has at most one request for a token under way; its other
//! requests use the token that is still valid, or wait for that result within their own time limit. Token and
//! delivery share the time limit of the attempt, and the guard checks the address of the token endpoint like any other.
//!
//! Locking: one mutex over the list of webhooks and one per webhook, each held briefly and never during a request.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::delivery::http::client::{ClientResult, Outgoing};
use crate::delivery::http::exchange::micros;
use crate::delivery::sender::Transport;
use crate::domain::attempt::{FailureCause, Phase, Timings};
use crate::domain::endpoint_auth::{HEADER, OAuth2Client, bearer};
use crate::domain::time::{Millis, SECOND};
use crate::text::failure::describe;

use self::request::{Grant, grant};

mod request;
#[cfg(test)]
mod tests;

/// Time before a token's end at which it is renewed; earlier ends are renewed after four fifths of their time.
const RENEWED_BEFORE: Millis = 60 * SECOND;

/// Maximum number of webhooks whose tokens are kept. Beyond it, the token that was used the longest ago is dropped.
const MAX_KEPT: usize = 8_192;

/// Tokens of all webhooks.
#[derive(Default)]
pub struct AccessTokens {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Entry of each webhook, with the number of its last use.
    by_webhook: HashMap<i64, (u64, Arc<Entry>)>,
    uses: u64,
}

/// Result of a request that needs an access token.
pub struct Authorized {
    /// With a failure of the kind `Token…` if there was no token.
    pub result: ClientResult,
    /// Whether the request was sent at all.
    pub is_sent: bool,
    /// `true` after a 401 to a kept token, when the request was repeated with a new one.
    pub token_renewed: bool,
}

/// Parts of a request that do not depend on its token.
pub struct Call<'a> {
    pub transport: &'a dyn Transport,
    pub clock: &'a Clock,
    pub webhook_seq: i64,
    pub client: &'a Arc<OAuth2Client>,
    pub outgoing: Outgoing<'a>,
}

impl AccessTokens {
    /// Sends a request with the webhook's access token, within `timeout` over all. After a 401 to a token that was kept, the
    /// request is sent once more with a new one.
    pub fn post(&self, call: &Call<'_>, timeout: Duration) -> Authorized {
        let started = Instant::now();
        let deadline = started + timeout;
        let entry = self.entry(call);
        let failed = |cause: FailureCause, result: ClientResult| ClientResult {
            failure: Some(describe(cause, call.outgoing.url)),
            duration: started.elapsed(),
            ..result
        };
        let mut token = match entry.token(call, started, deadline) {
            Ok(token) => token,
            Err(cause) => {
                let timings = Timings { token_us: Some(micros(started.elapsed())), ..Timings::default() };
                let result = failed(cause, ClientResult { timings, ..ClientResult::default() });
                return Authorized { result, is_sent: false, token_renewed: false };
            }
        };
        let mut result = send(call, &token, token.is_awaited, started, deadline);
        let mut token_renewed = false;
        if is_rejected(&result) {
            entry.forget(&token);
            // A token that was requested a moment ago is rejected for another reason than its age.
            if !token.is_new {
                match entry.token(call, started, deadline) {
                    Ok(new) => {
                        token = new;
                        result = send(call, &token, true, started, deadline);
                        token_renewed = true;
                    }
                    Err(cause) => result = failed(cause, result),
                }
                if is_rejected(&result) {
                    entry.forget(&token);
                }
            }
        }
        Authorized { result, is_sent: true, token_renewed }
    }

    /// Drops the tokens that have ended.
    pub fn sweep(&self, now: Millis) {
        lock(&self.kept).sweep(now);
    }

    /// Returns the entry of a webhook, a new one if its settings have changed.
    fn entry(&self, call: &Call<'_>) -> Arc<Entry> {
        let mut kept = lock(&self.kept);
        kept.uses += 1;
        let number = kept.uses;
        match kept.by_webhook.get_mut(&call.webhook_seq) {
            Some((used, entry)) if entry.client == *call.client => {
                *used = number;
                return Arc::clone(entry);
            }
            Some(_) => {}
            None => kept.make_room(call.clock.now_ms()),
        }
        let client = Arc::clone(call.client);
        let entry = Arc::new(Entry { client, state: Mutex::default(), request_ended: Condvar::new() });
        kept.by_webhook.insert(call.webhook_seq, (number, Arc::clone(&entry)));
        entry
    }
}

impl Kept {
    fn sweep(&mut self, now: Millis) {
        self.by_webhook.retain(|_, (_, entry)| {
            let has_token = || lock(&entry.state).token.as_ref().is_some_and(|token| token.is_valid(now));
            Arc::strong_count(entry) > 1 || has_token()
        });
    }

    /// The scan of all entries is cheap compared to the request that follows.
    fn make_room(&mut self, now: Millis) {
        if self.by_webhook.len() < MAX_KEPT {
            return;
        }
        self.sweep(now);
        let oldest = self.by_webhook.iter().min_by_key(|(_, (used, _))| *used).map(|(seq, _)| *seq);
        if let Some(seq) = oldest.filter(|_| self.by_webhook.len() >= MAX_KEPT) {
            self.by_webhook.remove(&seq);
        }
    }
}

/// Token of one webhook under its current settings.
struct Entry {
    client: Arc<OAuth2Client>,
    state: Mutex<State>,
    request_ended: Condvar,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// Whether a token is being requested.
    is_requesting: bool,
    /// Number of requests that have ended, and the failure of the last one.
    ended: u64,
    failure: Option<FailureCause>,
}

#[derive(Clone)]
struct Token {
    text: Arc<str>,
    renew_ms: Millis,
    end_ms: Millis,
}

impl Token {
    fn new(grant: Grant, requested_ms: Millis) -> Token {
        let life = grant.lifetime_ms;
        Token {
            text: grant.token.into(),
            renew_ms: requested_ms + (life * 4 / 5).max(life - RENEWED_BEFORE),
            end_ms: requested_ms + life,
        }
    }

    fn is_valid(&self, now: Millis) -> bool {
        now < self.end_ms
    }
}

/// Token to send.
struct Usable {
    text: Arc<str>,
    /// `true` for a token requested during this attempt.
    is_new: bool,
    /// Whether this attempt waited for a token endpoint.
    is_awaited: bool,
}

impl Usable {
    fn kept(token: &Token) -> Usable {
        Usable { text: Arc::clone(&token.text), is_new: false, is_awaited: false }
    }

    fn new(token: &Token) -> Usable {
        Usable { text: Arc::clone(&token.text), is_new: true, is_awaited: true }
    }
}

impl Entry {
    /// Returns the token, requesting one if needed, unless another thread does.
    fn token(&self, call: &Call<'_>, started: Instant, deadline: Instant) -> Result<Usable, FailureCause> {
        let requested_ms = call.clock.now_ms();
        let mut state = lock(&self.state);
        let valid = loop {
            let valid = state.token.as_ref().filter(|token| token.is_valid(requested_ms));
            match valid {
                Some(token) if state.is_requesting || requested_ms < token.renew_ms => {
                    return Ok(Usable::kept(token));
                }
                valid if !state.is_requesting => break valid.cloned(),
                _ => {}
            }
            let ended = state.ended;
            state = self.wait_for_request(state, ended, deadline);
            if state.ended == ended {
                return Err(self.unavailable(started, deadline));
            }
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            // Whatever its lifetime, or else those who wait would request one after the other.
            if let Some(token) = &state.token {
                return Ok(Usable::new(token));
            }
        };
        state.is_requesting = true;
        drop(state);
        let mut ending = RequestEnd { entry: self, outcome: None };
        // A renewal leaves time to send with the token that is still valid.
        let left = left(deadline);
        let timeout = if valid.is_some() { left / 2 } else { left };
        if timeout.is_zero() {
            let cause = self.unavailable(started, deadline);
            ending.outcome = Some(Err(cause.clone()));
            return Err(cause);
        }
        let granted = grant(call.transport, &self.client, &call.outgoing, timeout);
        let (outcome, usable) = match (granted, valid) {
            (Ok(grant), _) => {
                let token = Token::new(grant, requested_ms);
                let usable = Usable::new(&token);
                (Ok(token), Ok(usable))
            }
            (Err(_), Some(valid)) => {
                let usable = Usable { is_awaited: true, ..Usable::kept(&valid) };
                let now = call.clock.now_ms();
                (Ok(Token { renew_ms: now + (valid.end_ms - now).max(0) / 2, ..valid }), Ok(usable))
            }
            (Err(cause), None) => (Err(cause.clone()), Err(cause)),
        };
        ending.outcome = Some(outcome);
        usable
    }

    fn wait_for_request<'a>(
        &self,
        state: MutexGuard<'a, State>,
        ended: u64,
        deadline: Instant,
    ) -> MutexGuard<'a, State> {
        let patience = left(deadline);
        let is_running = |state: &mut State| state.ended == ended;
        let waited = self.request_ended.wait_timeout_while(state, patience, is_running);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Drops a token that the receiver rejected, unless another one has taken its place.
    fn forget(&self, rejected: &Usable) {
        lock(&self.state).token.take_if(|token| token.text == rejected.text);
    }

    /// Failure of an attempt whose time has passed without a token.
    fn unavailable(&self, started: Instant, deadline: Instant) -> FailureCause {
        let limit_ms = deadline.saturating_duration_since(started).as_millis() as Millis;
        let cause = FailureCause::Timeout { phase: Phase::Wait, limit_ms };
        FailureCause::TokenUnavailable {
            origin: self.client.token_url.origin().to_owned(),
            cause: Some(Box::new(cause)),
        }
    }
}

/// Ends a token request, also when a panic unwinds.
struct RequestEnd<'a> {
    entry: &'a Entry,
    /// `None` after a panic: another thread requests the token.
    outcome: Option<Result<Token, FailureCause>>,
}

impl Drop for RequestEnd<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.entry.state);
        state.is_requesting = false;
        state.ended += 1;
        (state.token, state.failure) = match self.outcome.take() {
            Some(Ok(token)) => (Some(token), None),
            Some(Err(cause)) => (None, Some(cause)),
            None => (None, None),
        };
        self.entry.request_ended.notify_all();
    }
}

/// Sends the request with a token. Times count from the start of the attempt; `waited`: it did not begin with the request.
fn send(call: &Call<'_>, token: &Usable, waited: bool, started: Instant, deadline: Instant) -> ClientResult {
    let mut headers = call.outgoing.headers.to_vec();
    headers.push((HEADER.to_owned(), bearer(&token.text)));
    let before = started.elapsed();
    // Without any time left, the failure is still the client's to name.
    let left = left(deadline).max(Duration::from_millis(1));
    let mut result = call.transport.post(&Outgoing { headers: &headers, ..call.outgoing }, left);
    if waited {
        let before_us = micros(before);
        result.timings.token_us = Some(before_us);
        result.timings.first_byte_us = result.timings.first_byte_us.map(|us| us.saturating_add(before_us));
    }
    result.duration = started.elapsed();
    result
}

/// Returns the time left in whole milliseconds, as failures name it.
fn left(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    Duration::from_millis(left.as_micros().div_ceil(1_000) as u64)
}

fn is_rejected(result: &ClientResult) -> bool {
    matches!(result.failure.as_ref().map(|failure| &failure.cause), Some(FailureCause::Status { code: 401 }))
}

/// Locks a mutex, ignoring panics elsewhere: its content is valid after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
