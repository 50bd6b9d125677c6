//! The pages of contacts, and the way to them.

use hookpost::domain::time::{HOUR, MINUTE};
use serde_json::json;

use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::page::Page;
use crate::support::receiver::{Behaviour, Receiver, Reply};
use crate::support::smtp::MailServer;
use crate::support::visitor::Visitor;

fn with_mail() -> (Hub, MailServer) {
    let server = MailServer::start();
    (Hub::with(|options| options.mail = Some(server.options("", "?tls=none"))), server)
}

/// Submits the form of a page with this action, as it is.
fn submit_form(visitor: &Visitor<'_>, page: &Page, action: &str) -> Page {
    let form = page.form(action).unwrap_or_else(|| panic!("no form {action} in {page}"));
    let fields = form.fields();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    visitor.submit_and_follow(action, &fields[1..])
}

/// Path of the first link to this server in a mail.
fn link_in(hub: &Hub, text: &str) -> String {
    let start = text.find(&hub.at("/")).unwrap_or_else(|| panic!("no link in {text}"));
    let link = text[start..].split_whitespace().next().unwrap();
    link.strip_prefix(&hub.at("")).unwrap().to_owned()
}

#[test]
fn a_contact_is_made_tested_changed_and_deleted_on_its_pages_and_a_failing_one_is_red_on_every_page() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let visitor = hub.administrator();
    hub.add_webhook(receiver.url());
    assert!(visitor.page("/").contains("Nobody is told about incidents."));
    let page = visitor.page("/contacts");
    assert!(page.contains("Nobody is told about incidents") && page.links_to("/contacts/new"), "{page}");
    assert!(visitor.page("/settings/keys").links_to("/contacts"));
    let page = visitor.page("/contacts/new");
    assert!(page.contains("--smtp-url"), "{page}");
    let wrong = visitor.submit(
        "/contacts/new",
        &[("name", "Ops"), ("channel", "webhook"), ("url", "nonsense"), ("profile", "generic"), ("topic", "opened")],
    );
    let page = wrong.expect(422).page();
    assert_eq!(page.get("#url").attribute("aria-invalid"), Some("true"));
    assert_eq!(page.get("#name").attribute("value"), Some("Ops"), "what was typed stays");

    let url = receiver.url();
    let fields = [
        ("name", "Ops <b>"),
        ("channel", "webhook"),
        ("url", url.as_str()),
        ("profile", "generic"),
        ("topic", "opened"),
        ("topic", "closed"),
        ("scope_webhooks", "*.example.com\nbilling*"),
        ("quiet_from", "22:00"),
        ("quiet_to", "07:00"),
        ("quiet_zone", "Europe/Berlin"),
    ];
    let page = visitor.submit_and_follow("/contacts/new", &fields);
    assert!(page.get("#secret").text().starts_with("whsec_"), "{page}");
    let all = hub.get("/v1/contacts").expect(200).json();
    let contact = &all["data"][0];
    assert_eq!(contact["scope"]["webhooks"], json!(["*.example.com", "billing*"]));
    assert_eq!((&contact["topics"], &contact["quiet_hours"]["to"]), (&json!(["opened", "closed"]), &json!("07:00")));
    let path = format!("/contacts/{}", contact["id"].as_str().unwrap());
    assert!(!visitor.page(&path).source().contains("whsec_"), "the secret is shown once");
    assert!(!visitor.page("/").contains("Nobody is told about incidents."));

    let page = visitor.submit(&format!("{path}/test"), &[]).expect(200).page();
    assert!(page.contains("500"), "{page}");
    for path in ["/", "/deliveries", "/settings/audit", path.as_str()] {
        let page = visitor.page(path);
        assert!(page.contains("is not receiving messages about incidents."), "{path}: {page}");
        assert!(!page.source().contains("Ops <b>"), "{path}");
    }
    assert!(visitor.page("/contacts").contains("Failing"));
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    let page = visitor.submit(&format!("{path}/test"), &[]).expect(200).page();
    assert!(page.contains("The test message was delivered.") && !page.has(".banner"), "{page}");

    let page = submit_form(&visitor, &visitor.page(&path), &path);
    assert!(page.has_flash("Saved."), "{page}");
    let same = hub.get("/v1/contacts").expect(200).json();
    assert_eq!(same["data"][0]["scope"], contact["scope"]);
    assert_eq!(same["data"][0]["quiet_hours"], contact["quiet_hours"]);
    visitor.submit(&format!("{path}/delete"), &[]).expect(200);
    let page = visitor.submit_and_follow(&format!("{path}/delete"), &[("confirmed", "yes")]);
    assert!(page.has_flash("Contact deleted."), "{page}");
}

#[test]
fn people_of_a_tenant_have_contacts_of_their_own_and_confirm_their_address_by_a_link() {
    let (hub, mail) = with_mail();
    let receiver = Receiver::start();
    let of_operator = json!({"name": "Operator's", "webhook": {"url": receiver.url()}});
    let of_operator = hub.post("/v1/contacts", &of_operator).expect(201).json();
    let acme = hub.portal("acme");
    let page = acme.page("/contacts");
    assert!(!page.contains("Operator's") && page.contains("Nobody is told about incidents"), "{page}");
    acme.get(&format!("/contacts/{}", of_operator["id"].as_str().unwrap())).expect(404);
    let page = acme.page("/contacts/new");
    assert!(!page.has("#scope_tenant") && !page.has("input[value=disk]"), "{page}");
    let fields = [("name", "Zoe"), ("channel", "email"), ("email", "zoe@example.com"), ("topic", "opened")];
    let page = acme.submit_and_follow("/contacts/new", &fields);
    assert!(page.has_flash("Open the link in the e-mail") && page.contains("Unconfirmed"), "{page}");

    let link = link_in(&hub, &mail.wait_for(1)[0].text);
    let stranger = hub.visitor();
    let confirm = |answer: Answer| answer.page();
    for _ in 0..2 {
        let page = confirm(stranger.get(&link).expect(200));
        assert!(page.has_button("Confirm address"), "a GET uses nothing up: {page}");
    }
    let token = link.split_once("token=").unwrap().1.to_owned();
    let page = stranger.submit("/confirm-contact", &[("token", &token)]).expect(200).page();
    assert!(page.contains("zoe@example.com"), "{page}");
    stranger.submit("/confirm-contact", &[("token", &token)]).expect(410);
    stranger.get(&link).expect(410);
    assert!(acme.page("/contacts").contains("OK"));
    // A changed address is confirmed again, and a link ends after an hour.
    let all = hub.get("/v1/contacts?tenant=acme").expect(200).json();
    let path = format!("/contacts/{}", all["data"][0]["id"].as_str().unwrap());
    let changed = [("name", "Zoe"), ("email", "zoe@other.example"), ("topic", "opened")];
    assert!(acme.submit_and_follow(&path, &changed).contains("Unconfirmed"));
    let link = link_in(&hub, &mail.wait_for(2)[1].text);
    hub.advance(HOUR + MINUTE);
    stranger.get(&link).expect(410);
}
