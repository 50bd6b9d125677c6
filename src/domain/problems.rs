//! Problems of several fields, collected so that one answer names them all.

use super::Invalid;

/// Problems that one answer lists.
const MOST: usize = 20;

/// Problems found so far.
#[derive(Debug, Default)]
pub struct Problems(Vec<Invalid>);

impl Problems {
    /// Returns the value, or records why there is none.
    pub fn check<T>(&mut self, result: Result<T, Invalid>) -> Option<T> {
        result.map_err(|invalid| self.add(invalid)).ok()
    }

    /// Records a problem with those that it brings. One that is known of its field is left out.
    pub fn add(&mut self, mut invalid: Invalid) {
        let others = std::mem::take(&mut invalid.others);
        for one in std::iter::once(invalid).chain(others) {
            let is_known = self.0.iter().any(|known| known.code == one.code && known.field == one.field);
            if !is_known && self.0.len() < MOST {
                self.0.push(one);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// # Errors
    /// The first problem, with the others.
    pub fn end(self) -> Result<(), Invalid> {
        let mut all = self.0.into_iter();
        match all.next() {
            Some(first) => Err(Invalid { others: all.collect(), ..first }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_keep_their_order_are_named_once_and_are_bounded() {
        let mut problems = Problems::default();
        assert_eq!(problems.check(Ok(1)), Some(1));
        for field in ["a", "b", "a"] {
            assert_eq!(problems.check::<()>(Err(Invalid::new("wrong", "Wrong.").in_field(field))), None);
        }
        let found = problems.end().unwrap_err();
        assert_eq!(found.field.as_deref(), Some("a"));
        assert_eq!(found.others, [Invalid::new("wrong", "Wrong.").in_field("b")]);
        let mut problems = Problems::default();
        problems.add(found);
        (0..100).for_each(|number| problems.add(Invalid::new("wrong", "Wrong.").in_field(number.to_string())));
        assert_eq!(problems.end().unwrap_err().others.len(), MOST - 1);
    }
}
