//! Messages to contacts that are about no incident: tests, and the confirmation of an address.

use serde_json::json;

/// Event type of a test message to a webhook.
pub const TEST_TYPE: &str = "hookpost.contact.test";

/// Message that shows that a contact can be told.
#[derive(Debug, Clone)]
pub struct TestMessage {
    name: String,
    url: String,
}

impl TestMessage {
    /// Returns the message to a contact with this name. `base_url` is the address of the server.
    pub fn to(name: &str, base_url: &str) -> TestMessage {
        TestMessage { name: name.to_owned(), url: base_url.to_owned() }
    }

    pub fn subject(&self) -> String {
        "Test message from Hookpost".to_owned()
    }

    fn sentence(&self) -> String {
        format!("This is a test. The contact {:?} will be told here when webhooks fail.", self.name)
    }

    /// Text of an e-mail.
    pub fn text(&self) -> String {
        format!("{}\n\n{}\n", self.sentence(), self.url)
    }

    /// Data of the event to a webhook, in JSON.
    pub fn data(&self) -> Box<str> {
        json!({"title": self.subject(), "text": self.sentence(), "url": self.url}).to_string().into()
    }
}

/// E-mail with the link that confirms an address. Nothing in it is a text of the tenant: it goes to an address that may be
/// a stranger's.
#[derive(Debug, Clone)]
pub struct ConfirmationMail {
    pub url: String,
}

impl ConfirmationMail {
    pub fn subject(&self) -> String {
        "Confirm this address for messages about webhooks".to_owned()
    }

    pub fn text(&self) -> String {
        format!(
            "Somebody entered this address to be told when webhooks fail. To get these messages, open this link within an \
             hour:\n\n{}\n\nIf that was not you, ignore this e-mail: nothing more will be sent.\n",
            self.url
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_message_says_for_what_it_is() {
        let message = TestMessage::to("On \"call\"", "https://hooks.example.com");
        let data: serde_json::Value = serde_json::from_str(&message.data()).unwrap();
        assert_eq!(data["title"], message.subject());
        assert_eq!(data["url"], "https://hooks.example.com");
        assert!(message.text().starts_with(data["text"].as_str().unwrap()));
    }
}
