//! The condition of a webhook in markup, the same on every page.

use super::layout::{Frame, Html};
use crate::domain::contact::{self, Contact};
use crate::domain::incident::{Health, Verdict};

impl Frame {
    /// Badge of a condition: icon, word and colour.
    pub fn health(&self, verdict: &Verdict) -> Html {
        let (status, word) = match verdict.health {
            Health::Healthy => ("ok", "Healthy"),
            Health::Failing => ("failed", "Failing"),
            Health::Disabled => ("disabled", "Disabled"),
            Health::Paused => ("paused", "Paused"),
            Health::Unverified => ("unverified", "Unverified"),
            Health::Unused => ("info", "Unused"),
        };
        self.badge_labeled(status, word)
    }

    /// Badge of a contact.
    pub fn contact_health(&self, contact: &Contact) -> Html {
        match contact.health(self.now_ms) {
            contact::Health::Ok => self.badge_labeled("ok", "OK"),
            contact::Health::Failing => self.badge_labeled("failed", "Failing"),
            contact::Health::Unconfirmed => self.badge_labeled("unverified", "Unconfirmed"),
        }
    }

    /// Since when a webhook is failing or disabled, in words. Empty in any other condition.
    pub fn condition_since(&self, verdict: &Verdict) -> Html {
        let last = verdict.last_success_ms.map(|at| format!(" (last success {})", self.time(&at)));
        Html(match (verdict.health, verdict.since_ms) {
            (Health::Failing, Some(since)) => {
                format!("Failing since {}{}.", self.time(&since), last.unwrap_or_default())
            }
            (Health::Disabled, Some(since)) => {
                format!("Disabled since {}{}.", self.time(&since), last.unwrap_or_default())
            }
            _ => String::new(),
        })
    }
}
