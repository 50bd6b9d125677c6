//! Deleting a tenant in a browser.

use hookpost::store::user::Role;
use serde_json::json;

use crate::support::Hub;
use crate::support::browser::Browser;
use crate::support::receiver::Receiver;

#[test]
fn a_tenant_is_deleted_by_typing_its_name_and_leaves_the_list_by_itself() {
    let hub = Hub::start();
    hub.add_user("anna", Role::Administrator);
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    let receiver = Receiver::start();
    for tenant in ["acme", "globex"] {
        hub.add_webhook_with(receiver.url(), &json!({"tenant": tenant}));
        hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "tenant": tenant})).expect(202);
    }
    hub.deliver_until_idle();
    browser.sign_in("anna");
    browser.go("/settings/tenants");
    browser.click("a[href$='/settings/tenants/acme/delete']");
    browser.wait_for("#typed");
    browser.fill("#typed", "globex");
    browser.click("main form button.danger");
    browser.wait_for_text("This is not acme");
    // The form was refused.
    assert_eq!(browser.complaints().len(), 1);
    browser.script("document.querySelector('#typed').value = ''");
    browser.fill("#typed", "acme");
    browser.click("main form button.danger");
    browser.wait_for_text("acme is being deleted");
    browser.wait_until("return !document.querySelector('#tenants').textContent.includes('acme')");
    assert!(browser.text("#tenants").contains("globex"));
    assert_eq!(browser.complaints(), [""; 0]);
}
