//! Actions on deliveries: retry, discard, one by one or in bulk; and the facts that explain one.

pub mod bulk;
pub mod discard;
pub mod explain;
pub mod retry;
