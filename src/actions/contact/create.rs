//! Creating a contact, with its webhook if it has one.

use super::{ContactInFull, error_in_webhook, require_mailer};
use crate::actions::audit::AuditEntry;
use crate::actions::reserved::require_unreserved;
use crate::actions::tenants::require_staying;
use crate::actions::webhook::create::require_profile;
use crate::actions::{ActionError, Actions, Caller, Result, collect, lookup};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::contact::{
    Channel, Contact, ContactSettings, MAX_IN_ALL, MAX_OF_OPERATOR, MAX_OF_TENANT, Scope, Status, Topic,
};
use crate::domain::event::Tenant;
use crate::domain::id::ContactId;
use crate::domain::pattern::EventPattern;
use crate::domain::problems::Problems;
use crate::domain::webhook::Webhook;
use crate::random;
use crate::store::{WriteTx, contact};

impl Actions {
    /// Creates a contact; `name`, and either `email` or `webhook`, are required. Blocks for up to two seconds for a name
    /// server, and for up to a minute for the mail server, if the address of a tenant has to be confirmed: a mail that
    /// cannot be sent is the contact's error. `base_url` is the address of the server in the link.
    pub fn create_contact(&self, caller: &Caller, settings: &ContactSettings, base_url: &str) -> Result<ContactInFull> {
        let owner = match (&caller.tenant, &settings.tenant) {
            (None, None) => None,
            (_, named) => Some(caller.tenant_for(named.as_deref())?),
        };
        if let Some(owner) = &owner {
            require_unreserved(owner, "tenant")?;
        }
        let now = self.clock.now_ms();
        let mut problems = Problems::default();
        if settings.name.is_none() {
            problems.add(Invalid::missing_field("name"));
        }
        let mut new = Contact {
            seq: 0,
            id: ContactId::generate(now, random::bits()),
            name: String::new(),
            channel: Channel::Webhook { webhook_seq: 0 },
            scope: Scope { tenant: owner.clone(), webhooks: Vec::new() },
            topics: Topic::defaults(owner.as_ref()),
            tenant: owner,
            quiet_hours: None,
            created_ms: now,
            updated_ms: now,
            status: Status::default(),
        };
        problems.check(settings.apply(&mut new));
        let channel = collect(&mut problems, self.new_channel(caller, settings, &new))?;
        problems.end()?;
        let (channel, webhook) = channel.expect("a channel that could not be made is a problem");
        new.channel = channel;
        let webhook = webhook.map(|webhook| Webhook { description: new.name.clone(), ..webhook });
        let auditor = caller.clone();
        let stored = self
            .store
            .write(move |tx| -> Result<_> {
                if let Some(tenant) = &new.tenant {
                    require_staying(tx, tenant)?;
                }
                require_place(tx, new.tenant.as_ref())?;
                if let Some(webhook) = &webhook {
                    require_profile(tx, &webhook.profile)?;
                }
                let stored = contact::insert(tx, new, webhook)?;
                let entry = AuditEntry::new(AuditAction::ContactCreated, stored.id).in_tenant(stored.tenant.as_ref());
                auditor.audit(tx, entry.with_detail(&stored.name))?;
                Ok(ContactInFull::read(tx.connection(), stored)?)
            })
            .wait()?;
        if stored.contact.is_reachable() {
            return Ok(stored);
        }
        let id = stored.contact.id.to_string();
        match self.send_confirmation(caller, &id, base_url) {
            // The contact exists all the same, and the mail can be requested again.
            Ok(_) | Err(ActionError::Conflict { .. }) => {
                let contact = self.store.read(|connection| lookup::contact(connection, caller, &id))?;
                Ok(ContactInFull { contact, webhook: None })
            }
            Err(error) => Err(error),
        }
    }

    fn new_channel(
        &self,
        caller: &Caller,
        settings: &ContactSettings,
        new: &Contact,
    ) -> Result<(Channel, Option<Webhook>)> {
        match (&settings.email, &settings.webhook) {
            (Some(address), None) => {
                require_mailer(self, caller.tenant.is_none())?;
                let confirmed_ms = new.tenant.is_none().then_some(new.created_ms);
                Ok((Channel::Email { address: address.parse()?, confirmed_ms }, None))
            }
            (None, Some(given)) => {
                let made = self.new_webhook(caller, Tenant::hookpost(), given.clone().into());
                // It is sent to without a challenge, since the test message is one.
                let (mut webhook, _) = made.map_err(error_in_webhook)?;
                webhook.events = vec![EventPattern::of_hookpost()];
                Ok((Channel::Webhook { webhook_seq: 0 }, Some(webhook)))
            }
            (Some(_), Some(_)) | (None, None) => {
                let message = "Give either email or webhook: a contact has one of them.";
                Err(Invalid::new("invalid_channel", message).in_field("email").into())
            }
        }
    }
}

/// Refuses one more contact of an owner that has as many as it may have.
fn require_place(tx: &WriteTx<'_>, owner: Option<&Tenant>) -> Result<()> {
    let most = if owner.is_some() { MAX_OF_TENANT } else { MAX_OF_OPERATOR };
    let limited = |message: String| Err(ActionError::conflict("contact_limit", message));
    if contact::count(tx.connection(), owner)? >= most {
        return limited(format!("There are {most} contacts already. Delete one that is no longer used."));
    }
    if contact::count_all(tx.connection())? >= MAX_IN_ALL {
        return limited("This server takes no more contacts. Delete some that are no longer used.".to_owned());
    }
    Ok(())
}
