//! The integration tests: one binary, the real server, a real receiver, a clock that the tests move.

mod delivery;
mod support;
