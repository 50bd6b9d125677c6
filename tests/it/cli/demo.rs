//! `hookpost demo`.

use std::fs;
use std::time::Duration;

use crate::support::Page;
use crate::support::process::{Process, Site, hookpost, refused, wait_until};

/// Client with a cookie jar.
struct Browser {
    agent: ureq::Agent,
    cookies: Vec<String>,
}

impl Browser {
    fn request(&mut self, url: &str, form: Option<&str>) -> (u16, String) {
        let cookies = self.cookies.join("; ");
        let mut answer = match form {
            None => self.agent.get(url).header("cookie", cookies).call(),
            Some(form) => self
                .agent
                .post(url)
                .header("cookie", cookies)
                .header("content-type", "application/x-www-form-urlencoded")
                .send(form),
        }
        .unwrap();
        for set in answer.headers().get_all("set-cookie") {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            self.cookies.push(pair.to_owned());
        }
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), text)
    }
}

#[test]
fn the_link_opens_pages_full_of_things_and_the_end_leaves_nothing() {
    let site = Site::new();
    let mut command = hookpost(&["demo"]);
    command.env("TMPDIR", site.folder());
    let process = Process::start(command);
    assert_eq!(fs::read_dir(site.folder()).unwrap().count(), 1);
    let link = format!("http://{}", process.address);
    let (origin, token) = link.split_once("/demo?token=").unwrap();
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .build();
    let mut browser = Browser { agent: config.into(), cookies: Vec::new() };
    let (status, page) = browser.request(&link, None);
    assert_eq!(status, 200, "{page}");
    let form_token = Page::read(page).field("form_token").unwrap();
    let form = format!("form_token={form_token}&token={token}");
    let enter = format!("{origin}/demo");
    assert_eq!(browser.request(&enter, Some(&form)).0, 303);
    assert_eq!(browser.request(&enter, Some(&form)).0, 410);
    let (_, webhooks) = browser.request(&format!("{origin}/webhooks"), None);
    let webhooks = Page::read(webhooks);
    assert!(webhooks.contains("Order fulfilment"), "{webhooks}");
    for status in ["ok", "paused", "disabled", "unverified"] {
        assert!(webhooks.statuses().contains(&status), "{status} in {webhooks}");
    }
    let mut inbox = || browser.request(&format!("{origin}/inbox"), None).1;
    let before = inbox();
    let statuses = Page::read(before.as_str());
    let statuses = statuses.statuses();
    assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == "verified"), "{before}");
    // The demo publishes further events.
    assert!(wait_until(Duration::from_secs(30), || inbox() != before));
    process.signal("INT");
    let (ended, said) = process.ended(Duration::from_secs(40));
    assert!(ended.success(), "{said}");
    assert_eq!(fs::read_dir(site.folder()).unwrap().count(), 0);
}

#[test]
fn a_demo_that_cannot_start_leaves_nothing_either() {
    let site = Site::new();
    for address in ["nowhere", "192.0.2.1:80"] {
        let mut command = hookpost(&["demo", "--listen", address]);
        command.env("TMPDIR", site.folder());
        assert!(refused(command).contains(address));
    }
    assert_eq!(fs::read_dir(site.folder()).unwrap().count(), 0);
}
