//! Sending: the engine that knows what is due, the workers that send it, the client, the guard.
//!
//! Owns: lanes, limits, workers, connections, which addresses may be dialled. Never does: hold the engine's lock
//! over a request, a query or a write. Locking: one mutex over all lanes (`state`), taken for moments only;
//! the writer's thread takes it to hand over what it committed.
//!
//! Reading order: `endpoint` and `sender` (one attempt), `challenge`, `record` (what an attempt changes), `lane` (one webhook's queue),
//! `state` (all lanes), `engine` (threads around it), `worker`, `pacer`; below them `client` (HTTP) and `guard` (DNS, policy).

pub mod challenge;
pub mod endpoint;
pub mod engine;
pub mod guard;
pub mod http;
pub mod sender;

pub use endpoint::Endpoint;
pub use engine::{Engine, EngineOptions};
pub use guard::Guard;
pub use sender::{Sender, Transport};
