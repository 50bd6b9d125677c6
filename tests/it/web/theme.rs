//! The theme without a script.

use crate::support::Hub;
use crate::support::visitor::Visitor;

#[test]
fn the_theme_is_chosen_by_a_form_and_the_next_page_comes_in_it() {
    let hub = Hub::start();
    let check = |visitor: &Visitor<'_>| {
        let page = visitor.page("/webhooks?state=paused");
        assert!(!page.get("html").has_attribute("data-theme"), "{page}");
        assert_eq!(page.get("meta[name=color-scheme]").attribute("content"), Some("light dark"));
        for theme in ["dark", "light"] {
            let back = visitor.page("/webhooks?state=paused").field("back").unwrap();
            let page = visitor.submit_and_follow("/account/display", &[("theme", theme), ("back", &back)]);
            assert!(page.offers("state", "paused"), "the same page");
            assert_eq!(page.get("html").attribute("data-theme"), Some(theme));
            assert_eq!(page.get("meta[name=color-scheme]").attribute("content"), Some(theme));
            let pressed = page.get("button[name=theme][aria-pressed=true]");
            assert_eq!(pressed.attribute("value"), Some(theme));
        }
        visitor.submit_and_follow("/account/display", &[("theme", "")]);
        assert!(!visitor.page("/webhooks").get("html").has_attribute("data-theme"));
    };
    check(&hub.viewer());
    check(&hub.portal("acme"));
    // The sign-in page has it too, and an unknown value is none.
    let visitor = hub.visitor();
    let name = format!("{}_theme", hub.running.app.site.cookie());
    visitor.set_cookie(&name, "dark");
    assert_eq!(visitor.page("/login").get("html").attribute("data-theme"), Some("dark"));
    visitor.set_cookie(&name, "\"><script>");
    assert!(!visitor.page("/login").get("html").has_attribute("data-theme"));
}

mod browser {
    use super::*;
    use crate::support::browser::Browser;

    #[test]
    fn the_documentation_has_the_chosen_theme() {
        let hub = Hub::start();
        let Some(browser) = Browser::open(&hub) else {
            return;
        };
        let scheme = |wanted: &str| {
            browser.go("/docs");
            let scheme = "getComputedStyle(document.documentElement).colorScheme";
            browser.wait_until(&format!("return {scheme} === {wanted:?}"));
        };
        scheme("light dark");
        for theme in ["dark", "light"] {
            let name = format!("{}_theme", hub.running.app.site.cookie());
            browser.script(&format!("document.cookie = '{name}={theme}; path=/'"));
            scheme(theme);
        }
        assert_eq!(browser.complaints(), [""; 0]);
    }
}
