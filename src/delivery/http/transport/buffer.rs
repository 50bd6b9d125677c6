//! The two buffers of a connection in use. Each worker thread keeps one pair, so idle connections need no buffers.

use std::cell::Cell;

use ureq::unversioned::transport::Buffers;

use super::{HEAD_BYTES, fail};
use crate::delivery::http::exchange;
use crate::delivery::http::exchange::Fault;

/// Initial size of each buffer.
const BUFFER_BYTES: usize = 16 * 1024;

/// Input and output buffer.
#[derive(Debug, Default)]
pub struct Buffer {
    pub input: Vec<u8>,
    /// `input[start..end]` is received but not used yet.
    start: usize,
    pub end: usize,
    /// Whether parsing the input again can help without reading more.
    progressed: bool,
    pub output: Vec<u8>,
    /// `output[..held]` is handed over but not sent yet.
    pub held: usize,
}

thread_local! {
    /// Buffers of the thread's last connection.
    static SPARE: Cell<Option<Buffer>> = const { Cell::new(None) };
}

impl Buffer {
    pub fn take() -> Buffer {
        SPARE.with(Cell::take).unwrap_or_else(|| Buffer {
            input: vec![0; BUFFER_BYTES],
            output: vec![0; BUFFER_BYTES],
            ..Buffer::default()
        })
    }

    pub fn give_back(self) {
        if self.input.len() == BUFFER_BYTES && self.output.len() == BUFFER_BYTES {
            let emptied = Buffer { start: 0, end: 0, progressed: false, held: 0, ..self };
            // During the end of a thread there may be no place for it any more.
            let _ = SPARE.try_with(|spare| spare.set(Some(emptied)));
        }
    }

    /// Makes room to read into.
    pub fn make_room(&mut self) -> Result<(), ureq::Error> {
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.input.len() {
            if self.end >= HEAD_BYTES {
                return Err(fail(Fault::TooLong));
            }
            self.input.resize(HEAD_BYTES, 0);
        }
        Ok(())
    }

    pub fn note_received(&mut self, count: usize) -> Result<(), ureq::Error> {
        let came = &self.input[self.end..self.end + count];
        let within_limit = exchange::with(|exchange| exchange.note_received(came));
        self.input_appended(count);
        within_limit.map_err(|()| ureq::Error::ConnectionFailed)
    }

    /// Whether the input begins with an interim (1xx) response, which the real one follows. A full buffer counts as a
    /// response.
    pub fn holds_interim_answer(&self) -> bool {
        let came = &self.input[self.start..self.end];
        let may_be_interim = came.get("HTTP/1.1 ".len()).is_none_or(|first_digit| *first_digit == b'1');
        may_be_interim && self.end < self.input.len()
    }
}

impl Buffers for Buffer {
    fn output(&mut self) -> &mut [u8] {
        &mut self.output[self.held..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        &mut self.input[self.end..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.end += amount;
        self.progressed = true;
    }

    fn input_consume(&mut self, amount: usize) {
        self.start += amount;
        self.progressed = amount > 0;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        (&mut self.input[self.end..], &mut self.output[self.held..])
    }

    fn can_use_input(&self) -> bool {
        self.start < self.end && self.progressed
    }
}
