//! State shared by a receiver's threads: one mutex, and one condition variable that is notified of every change.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::behaviour::Behaviour;
use super::request::Received;

/// The state, with a condition variable for its changes.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// All mutable state of a receiver.
pub(super) struct State {
    behaviour: Behaviour,
    /// Responses begun since the behaviour was last set, which is the index into a script.
    step: usize,
    stopping: bool,
    pub requests: Vec<Received>,
    /// Addresses of the clients, in order of acceptance.
    pub peers: Vec<SocketAddr>,
    /// Open connections by number, for shutting them down when the receiver is dropped.
    pub live: HashMap<usize, Arc<TcpStream>>,
    pub gate: Gate,
}

/// Holds requests between their arrival and their response.
#[derive(Default)]
pub(super) struct Gate {
    closed: bool,
    /// Number of openings. It lets a held request pass even if the gate has been closed again since.
    openings: u64,
    pub waiting: usize,
}

impl Gate {
    pub fn close(&mut self) {
        self.closed = true;
    }

    pub fn open(&mut self) {
        self.closed = false;
        self.openings += 1;
    }
}

/// An accepted connection in the list of open ones. Dropping it, also in a panic, removes it from the list.
pub(super) struct Admitted {
    pub shared: Arc<Shared>,
    pub socket: Arc<TcpStream>,
    /// 1 for the first connection of the receiver.
    pub number: usize,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.shared.change(|state| state.live.remove(&self.number));
    }
}

/// Counts and lists a connection. Returns `None` if the receiver is stopping.
pub(super) fn admit(shared: &Arc<Shared>, stream: TcpStream) -> Option<Admitted> {
    // With Nagle's algorithm, each dripped byte would wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let peer = stream.peer_addr();
    let socket = Arc::new(stream);
    shared.change(|state| {
        if state.stopping {
            return None;
        }
        // A client that has already disconnected has no address, but still counts as a connection.
        state.peers.push(peer.unwrap_or(SocketAddr::from(([0; 4], 0))));
        let number = state.peers.len();
        state.live.insert(number, Arc::clone(&socket));
        Some(Admitted { shared: Arc::clone(shared), socket, number })
    })
}

impl Shared {
    pub fn new(behaviour: Behaviour) -> Self {
        let state = State {
            behaviour: behaviour.checked(),
            step: 0,
            stopping: false,
            requests: Vec::new(),
            peers: Vec::new(),
            live: HashMap::new(),
            gate: Gate::default(),
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Reads the state.
    pub fn look<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.lock().unwrap())
    }

    /// Changes the state and notifies all waiting threads.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
        result
    }

    /// Waits until the state is `ready`. Returns false after `patience`.
    pub fn wait_until(&self, patience: Duration, ready: impl Fn(&State) -> bool) -> bool {
        let state = self.state.lock().unwrap();
        let waited = self.changed.wait_timeout_while(state, patience, |state| !ready(state));
        !waited.unwrap().1.timed_out()
    }

    /// Waits for `gap`. Fails at once when the receiver stops.
    pub fn pause(&self, gap: Duration) -> io::Result<()> {
        if self.wait_until(gap, |state| state.stopping) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// Waits until the receiver stops.
    pub fn wait_for_the_end(&self) {
        let state = self.state.lock().unwrap();
        let _ended = self.changed.wait_while(state, |state| !state.stopping).unwrap();
    }

    /// Waits while the gate is closed. Fails when the receiver stops.
    pub fn pass_the_gate(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if !state.gate.closed {
            return Ok(());
        }
        let openings = state.gate.openings;
        state.gate.waiting += 1;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |state| state.gate.openings == openings && !state.stopping).unwrap();
        state.gate.waiting -= 1;
        if state.stopping {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    pub fn behave(&self, behaviour: Behaviour) {
        let behaviour = behaviour.checked();
        self.change(|state| {
            state.behaviour = behaviour;
            state.step = 0;
        });
    }

    /// Whether the current behaviour matches `like`.
    pub fn behaves(&self, like: impl FnOnce(&Behaviour) -> bool) -> bool {
        self.look(|state| like(&state.behaviour))
    }

    /// Returns the behaviour for the next response, and its index in a script.
    pub fn next_turn(&self) -> (Behaviour, usize) {
        self.change(|state| {
            state.step += 1;
            (state.behaviour.clone(), state.step - 1)
        })
    }

    /// Ends every wait, and every read and write on open connections.
    pub fn stop(&self) {
        self.change(|state| {
            state.stopping = true;
            for socket in state.live.values() {
                let _ = socket.shutdown(Shutdown::Both);
            }
        });
    }
}
