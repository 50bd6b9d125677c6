//! The one place that draws random numbers, from the operating system.

/// Random bytes. The operating system's generator fails only where a process must not go on.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// Random bits for an id.
pub fn bits() -> u128 {
    u128::from_le_bytes(bytes())
}

/// A number in 0.0..1.0, for jitter.
pub fn fraction() -> f64 {
    f64::from(u32::from_le_bytes(bytes())) / (f64::from(u32::MAX) + 1.0)
}
