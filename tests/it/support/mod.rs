//! What the tests stand on: a real server with a clock that they move, and a real receiver.

pub mod hub;
pub mod process;
pub mod receiver;
pub mod visitor;

pub use hub::Hub;
