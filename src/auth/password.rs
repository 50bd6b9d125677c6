//! Passwords: Argon2id with 19 MiB, two passes and one lane (OWASP Password Storage Cheat Sheet, second set of
//! parameters), in the PHC string format. At most two run at once, so that sign-ins cannot exhaust the memory.

use std::sync::{Condvar, Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::domain::Invalid;
use crate::random;

/// Minimum characters of a password.
pub const SHORTEST: usize = 10;
/// Maximum bytes of a password.
const LONGEST: usize = 1024;
/// Memory of a hash in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Size from which on every allocator maps a block for itself: above 32 MiB, the highest threshold of glibc. Pages that are
/// not used take no memory.
const MAPPED_BYTES: usize = 40 << 20;
/// Maximum hashes computed at once.
const AT_A_TIME: usize = 2;

static ROOM: Mutex<usize> = Mutex::new(AT_A_TIME);
static FREED: Condvar = Condvar::new();

/// Checks the length of a new password, the only rule (NIST SP 800-63B, 3.1.1.2).
pub fn check(password: &str) -> Result<(), Invalid> {
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        return Err(Invalid::new(
            "invalid_password",
            format!("A password has {SHORTEST} characters or more; a sentence is a good one."),
        )
        .in_field("password"));
    }
    Ok(())
}

/// Hashes a password. Takes about 20 ms and 19 MiB; do not call it on a thread that serves requests.
pub fn hash(password: &str) -> String {
    let salt = random::bytes::<16>();
    let mut output = [0; 32];
    compute(params(), password, &salt, &mut output).expect("the parameters and the lengths are in range");
    let text = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}", text(&salt), text(&output))
}

/// Whether a password matches its hash. Takes the same time without a hash (unknown user).
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let stored =
        hash.and_then(|text| PasswordHash::new(text).ok()).filter(|stored| stored.algorithm.as_str() == "argon2id");
    let parts = stored.as_ref().and_then(|stored| {
        Some((Params::try_from(stored).ok()?, stored.salt.as_ref()?.as_ref(), stored.hash.as_ref()?.as_bytes()))
    });
    let Some((params, salt, expected)) = parts else {
        let mut spent = [0; 32];
        let computed = compute(params(), password, &[0; 16], &mut spent);
        let _ = std::hint::black_box((computed, spent));
        return false;
    };
    let mut output = vec![0; expected.len()];
    compute(params, password, salt, &mut output).is_ok() && output.ct_eq(expected).into()
}

fn params() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are in range")
}

/// Computes a hash, when there is room.
///
/// Its memory is mapped for it alone and given back at once. Allocators keep a smaller block for the next one, each thread
/// another, so that sign-ins would hold hundreds of MiB in the course of time (glibc: mallopt(3), `M_MMAP_THRESHOLD`).
fn compute(params: Params, password: &str, salt: &[u8], output: &mut [u8]) -> argon2::Result<()> {
    let _room = Room::wait();
    let blocks = params.block_count();
    let mut memory: Vec<Block> = Vec::with_capacity(blocks.max(MAPPED_BYTES / Block::SIZE));
    memory.resize(blocks, Block::new());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, memory.as_mut_slice())
}

/// Slot for computing a hash, released on drop.
struct Room;

impl Room {
    fn wait() -> Room {
        let room = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room = FREED.wait_while(room, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *room -= 1;
        Room
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *ROOM.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        FREED.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_verified_against_its_hash() {
        let stored = hash("correct horse battery");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify("correct horse battery", Some(&stored)));
        assert!(!verify("correct horse batterz", Some(&stored)));
        assert!(!verify("correct horse battery", None));
        assert!(!verify("correct horse battery", Some("garbage")));
    }

    /// Made by the reference implementation, with Python's argon2-cffi.
    #[test]
    fn a_hash_of_the_reference_implementation_is_verified() {
        let stored =
            "$argon2id$v=19$m=19456,t=2,p=1$c2l4dGVlbiBieXRlcyBhYg$xtFr/BUI4w1eNQuvFty5xdMyhHq2a+h/RCkOEb/R7Yg";
        assert!(verify("correct horse battery", Some(stored)));
        assert!(!verify("correct horse batterz", Some(stored)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_hash_leaves_no_memory_behind_on_the_thread_that_computed_it() {
        // In a process of its own, since the tests beside this one take memory too.
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--ignored", "--exact", "auth::password::tests::memory_of_hashes"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    #[ignore = "run by the test above, in a process of its own"]
    fn memory_of_hashes() {
        let resident_mib = || {
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
            pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() / 256
        };
        let (computed, threads) = std::sync::mpsc::channel();
        let before = resident_mib();
        let waiting: Vec<_> = (0..24)
            .map(|_| {
                let computed = computed.clone();
                let (end, ends) = std::sync::mpsc::channel::<()>();
                let thread = std::thread::spawn(move || {
                    // The first raises the threshold from which on glibc maps a block for itself.
                    drop(hash("correct horse"));
                    drop(hash("correct horse"));
                    computed.send(()).unwrap();
                    // An error: the test has ended.
                    let _ = ends.recv();
                });
                threads.recv().unwrap();
                (end, thread)
            })
            .collect();
        let after = resident_mib();
        drop(waiting);
        assert!(after < before + 50, "{before} MiB before, and {after} MiB after");
    }

    #[test]
    fn a_short_password_is_refused_by_characters_not_bytes() {
        assert!(check("éééééééééé").is_ok());
        assert!(check("ééééééééé").is_err());
        assert!(check(&"x".repeat(1025)).is_err());
    }
}
