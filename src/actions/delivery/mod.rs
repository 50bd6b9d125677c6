//! Actions on deliveries: retry or discard, one or in bulk; and the explanation of one.

pub mod bulk;
pub mod explain;
pub mod retry;
