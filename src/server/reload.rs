//! New settings for a running server.

use std::sync::PoisonError;

use super::heartbeat_job::Heartbeating;
use super::{Running, ServerOptions, StartError, mailer, require_profile};
use crate::domain::target::TargetPolicy;

impl Running {
    /// Takes over the settings that can change while the server runs; the others stay as they are. Blocks.
    ///
    /// # Errors
    ///
    /// If one of them cannot be used. Then none is taken over.
    pub fn reload(&self, options: &ServerOptions) -> Result<(), StartError> {
        let actions = &self.app.actions;
        for name in &options.portal_profiles {
            require_profile(&actions.store, "portal-profiles", name)?;
        }
        let mailer = mailer(options)?;
        let mut heartbeating = self.heartbeating.lock().unwrap_or_else(PoisonError::into_inner);
        if heartbeating.url() != options.heartbeat_url.as_deref() {
            let next = Heartbeating::start(actions.clone(), options)?;
            std::mem::replace(&mut *heartbeating, next).stop();
        }
        let mut live = options.live();
        // Places that are taken now are counted against these.
        let limits = actions.live.get().tenant_limits;
        (live.tenant_limits.jobs, live.tenant_limits.tests) = (limits.jobs, limits.tests);
        actions.live.set(live);
        actions.guard.set_policy(TargetPolicy::new(options.allow_targets.clone()));
        actions.mailer.replace(mailer);
        Ok(())
    }
}
