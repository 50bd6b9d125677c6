//! What a receiver's threads share: one mutex, one condition variable that is notified of every change.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::behaviour::Behaviour;
use super::request::Received;

/// The state and the word that it changed.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// Everything that changes while a receiver runs.
pub(super) struct State {
    behaviour: Behaviour,
    /// How many answers have begun since the behaviour was last set: the place in a script.
    step: usize,
    stopping: bool,
    pub requests: Vec<Received>,
    /// Who connected, in the order of acceptance.
    pub peers: Vec<SocketAddr>,
    /// The open connections by number, kept to be shut down when the receiver is dropped.
    pub live: HashMap<usize, Arc<TcpStream>>,
    pub gate: Gate,
}

/// What requests wait at between their arrival and their answer.
#[derive(Default)]
pub(super) struct Gate {
    closed: bool,
    /// Tells a request that waits from before an opening that it may go, though the gate closed again.
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

/// An accepted connection on the list of the living; leaves the list when dropped, a panic included.
pub(super) struct Admitted {
    pub shared: Arc<Shared>,
    pub socket: Arc<TcpStream>,
    /// 1 for the first connection that the receiver accepted.
    pub number: usize,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.shared.change(|state| state.live.remove(&self.number));
    }
}

/// Counts and lists a connection, or answers `None` when the receiver is stopping.
pub(super) fn admit(shared: &Arc<Shared>, stream: TcpStream) -> Option<Admitted> {
    // Without this a dripped byte would wait for the acknowledgement of the one before it.
    let _ = stream.set_nodelay(true);
    let peer = stream.peer_addr();
    let socket = Arc::new(stream);
    shared.change(|state| {
        if state.stopping {
            return None;
        }
        // A client that is gone already has no address any more, and was a connection all the same.
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

    /// Changes the state and tells everyone who waits.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
        result
    }

    /// Waits until the state is `ready`; false when `patience` ran out first.
    pub fn wait_until(&self, patience: Duration, ready: impl Fn(&State) -> bool) -> bool {
        let state = self.state.lock().unwrap();
        let waited = self.changed.wait_timeout_while(state, patience, |state| !ready(state));
        !waited.unwrap().1.timed_out()
    }

    /// Lets `gap` pass, or fails at once when the receiver stops.
    pub fn pause(&self, gap: Duration) -> io::Result<()> {
        if self.wait_until(gap, |state| state.stopping) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// Blocks until the receiver stops.
    pub fn wait_for_the_end(&self) {
        let state = self.state.lock().unwrap();
        let _ended = self.changed.wait_while(state, |state| !state.stopping).unwrap();
    }

    /// Blocks while the gate is closed; fails when the receiver stops meanwhile.
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

    /// Whether the behaviour of the moment is one that `like` says.
    pub fn behaves(&self, like: impl FnOnce(&Behaviour) -> bool) -> bool {
        self.look(|state| like(&state.behaviour))
    }

    /// The behaviour for the next answer, and how many answers it has given before.
    pub fn next_turn(&self) -> (Behaviour, usize) {
        self.change(|state| {
            state.step += 1;
            (state.behaviour.clone(), state.step - 1)
        })
    }

    /// Ends every wait, and every read and write on an open connection.
    pub fn stop(&self) {
        self.change(|state| {
            state.stopping = true;
            for socket in state.live.values() {
                let _ = socket.shutdown(Shutdown::Both);
            }
        });
    }
}
