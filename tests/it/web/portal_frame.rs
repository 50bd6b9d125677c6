//! The portal in a frame of another site's page, in a real browser.

use std::sync::{Arc, Mutex};

use hookpost::store::user::Role;
use serde_json::json;

use crate::support::Hub;
use crate::support::browser::Browser;
use crate::support::receiver::{Receiver, Reply};

/// A site of the application: a page on `localhost` with the frame. Another site than `127.0.0.1`, for a browser.
struct Site {
    receiver: Receiver,
    framed: Arc<Mutex<String>>,
}

impl Site {
    fn start() -> Site {
        let framed = Arc::new(Mutex::new(String::new()));
        let source = Arc::clone(&framed);
        let receiver = Receiver::with(move |_| {
            let url = source.lock().unwrap().clone();
            let page = format!(
                "<!doctype html><html lang=en><title>App</title><h1>Your app</h1><iframe src=\"{url}\" width=\"100%\" height=\"700\" title=\"Webhooks\"></iframe>"
            );
            Reply::status(200).header("content-type", "text/html; charset=utf-8").body(page)
        });
        Site { receiver, framed }
    }

    fn origin(&self) -> String {
        format!("http://localhost:{}", self.receiver.port())
    }

    /// Opens the page with a URL in its frame, and goes on inside the frame.
    fn show(&self, browser: &Browser, url: &str) {
        *self.framed.lock().unwrap() = url.to_owned();
        browser.go_to(&self.origin());
        browser.enter_frame("iframe");
    }
}

mod browser {
    use super::*;
    use crate::support::browser::Browser;

    #[test]
    fn a_tenant_works_in_a_frame_of_another_site_beside_an_operator_in_the_same_browser() {
        let (site, stranger) = (Site::start(), Site::start());
        let hub = Hub::with(|options| {
            options.portal.origins = vec![site.origin()];
            options.portal.name = Some("Acme Cloud".to_owned());
        });
        hub.add_user("anna", Role::Administrator);
        hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "acme", "description": "Shop of acme"}));
        hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "globex", "description": "Shop of globex"}));
        let Some(browser) = Browser::open(&hub) else {
            return;
        };
        browser.sign_in("anna");

        // The link, its button, a page, a form and its message, all inside the frame.
        let link = hub.portal_path_with(&json!({"tenant": "acme", "subject": "jo"}));
        site.show(&browser, &hub.at(&link));
        browser.wait_for_text("Acme Cloud");
        browser.click_text("Open");
        browser.wait_for_text("Shop of acme");
        assert!(!browser.text("body").contains("globex"));
        browser.click_text("Inbox");
        browser.click_text("Open the inbox");
        browser.wait_for_text("The inbox is open.");
        // An error, and the end of the session, inside the frame too.
        site.show(&browser, &hub.at("/portal/no-such-page"));
        browser.wait_for_text("There is no such page.");
        browser.click_text("overview");
        browser.wait_for_text("All webhooks are healthy");
        hub.delete("/v1/portal-links?tenant=acme").expect(200);
        browser.click_text("Webhooks");
        browser.wait_for_text("Your session has ended");
        browser.wait_for_text("Acme Cloud");
        assert_eq!(
            browser.complaints().iter().filter(|text| !text.contains("410") && !text.contains("404")).count(),
            0
        );

        // The operator is still signed in, and the browser shows neither session to a site that is not listed.
        browser.leave_frame();
        browser.go("/webhooks");
        browser.wait_for_text("Shop of globex");
        let link = hub.portal_path("acme");
        for url in [hub.at(&link), hub.at("/webhooks")] {
            stranger.show(&browser, &url);
            assert!(!browser.text("body").contains("Open") && !browser.text("body").contains("Shop"), "{url}");
            browser.leave_frame();
        }
        // The operator's pages are in no frame, of a listed site neither.
        site.show(&browser, &hub.at("/webhooks"));
        assert!(!browser.text("body").contains("Shop"), "{}", browser.text("body"));
        browser.leave_frame();
    }
}
