//! Sending: the engine that schedules due deliveries, the workers that send them, the HTTP client, the guard.
//!
//! Owns lanes, limits, workers, connections, and the decision which addresses may be connected to. Never holds the
//! engine's lock during a request, a query or a write. Locking: one mutex over all lanes, held briefly; the writer
//! thread takes it to hand over committed deliveries.
//!
//! Reading order: [`endpoint`] and [`sender`] (one attempt), [`access_token`], [`challenge`], [`engine`] (lanes, scheduler, workers,
//! record of an attempt); below them [`http`] (client) and [`guard`] (DNS, policy). [`mail`] sends e-mails, [`heartbeat`] signs of life to a monitor.

pub mod access_token;
pub mod challenge;
pub mod endpoint;
pub mod engine;
pub mod guard;
pub mod heartbeat;
pub mod http;
pub mod mail;
pub mod sender;

pub use endpoint::Endpoint;
pub use engine::{Engine, EngineOptions};
pub use guard::Guard;
pub use sender::{Sender, Transport};
