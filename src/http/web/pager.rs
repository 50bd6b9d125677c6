//! Links to the older and newer pages of a list. A cursor leads to older rows only, so the URL carries the cursors of
//! the newer pages.

use crate::http::web::form::Fields;
use crate::http::web::list_query::below;
use crate::store::page::Cursor;

/// Cursors of newer pages in a URL.
const MAX_TRAIL: usize = 40;
/// Stands for the newest page, which has no cursor.
const NEWEST: &str = "0";

#[derive(Default)]
pub struct Pager {
    pub newer: Option<String>,
    pub newest: Option<String>,
    pub older: Option<String>,
}

impl Pager {
    /// `path` is the path of the list, with the server's prefix; `filter` its query without a cursor; `query` the one
    /// of the current page.
    pub fn new(path: &str, filter: &str, query: &Fields, next: Option<Cursor>) -> Pager {
        let to = |cursor: &str, trail: &[&str]| {
            let mut query = url::form_urlencoded::Serializer::new(filter.to_owned());
            if cursor != NEWEST {
                query.append_pair("cursor", cursor).append_pair("trail", &trail.join("."));
            }
            below(path, &query.finish())
        };
        let here = query.given("cursor").unwrap_or(NEWEST);
        let trail = query.given("trail").unwrap_or_default();
        let is_cursor = |part: &&str| *part == NEWEST || part.parse::<Cursor>().is_ok();
        let trail: Vec<&str> = trail.split('.').filter(is_cursor).collect();
        let newer = match trail.split_last() {
            Some((last, rest)) if here != NEWEST => Some(to(last, rest)),
            _ => None,
        };
        let mut down = trail;
        down.push(here);
        let first = down.len().saturating_sub(MAX_TRAIL);
        Pager {
            newer,
            newest: (here != NEWEST).then(|| to(NEWEST, &[])),
            older: next.map(|next| to(&next.to_string(), &down[first..])),
        }
    }

    pub fn is_first_page(&self) -> bool {
        self.newest.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(address: &str) -> Fields {
        Fields::parse(address.split('?').nth(1).unwrap_or_default().as_bytes())
    }

    #[test]
    fn the_way_down_is_the_way_back() {
        let cursors = [900, 800, 700].map(Cursor::below);
        let mut at = "/d?status=failed".to_owned();
        let mut seen = Vec::new();
        for cursor in cursors {
            seen.push(at.clone());
            at = Pager::new("/d", "status=failed", &query(&at), Some(cursor)).older.unwrap();
        }
        while let Some(expected) = seen.pop() {
            let pager = Pager::new("/d", "status=failed", &query(&at), None);
            assert_eq!(pager.newest.as_deref(), Some("/d?status=failed"));
            at = pager.newer.unwrap();
            assert_eq!(at, expected);
        }
        let newest = Pager::new("/d", "", &query("/d"), None);
        assert!(newest.newer.is_none() && newest.newest.is_none() && newest.older.is_none());
    }

    #[test]
    fn a_trail_that_nobody_gave_out_is_left_alone() {
        let pager = Pager::new("/d", "", &query("/d?cursor=x&trail=%2F%2Fevil.!"), None);
        assert_eq!((pager.newer, pager.newest.as_deref()), (None, Some("/d")));
    }
}
