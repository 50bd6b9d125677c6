//! Condition of a change: the stored object is the one that the caller knows.

use super::{ActionError, Result};

type Check<T> = Box<dyn FnOnce(Option<&T>) -> bool + Send>;

/// Condition on the stored object, checked in the transaction of its change. The default is no condition.
pub struct Unchanged<T>(Option<Check<T>>);

impl<T> Default for Unchanged<T> {
    fn default() -> Unchanged<T> {
        Unchanged(None)
    }
}

impl<T> Unchanged<T> {
    /// `check` gets the stored object; `None` if there is none.
    pub fn when(check: impl FnOnce(Option<&T>) -> bool + Send + 'static) -> Unchanged<T> {
        Unchanged(Some(Box::new(check)))
    }

    /// # Errors
    /// [`ActionError::Changed`] if the object is another one.
    pub fn require(self, stored: Option<&T>) -> Result<()> {
        if self.0.is_none_or(|check| check(stored)) { Ok(()) } else { Err(ActionError::Changed) }
    }
}
