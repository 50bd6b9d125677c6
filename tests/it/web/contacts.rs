//! The pages of contacts, the way to them, and the two stories that begin with a message and with a search.

use hookpost::domain::time::{DAY, HOUR, MINUTE};
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

#[test]
fn failing_since_yesterday_begins_with_an_e_mail_and_ends_on_the_page_that_it_links_to() {
    let (hub, mail) = with_mail();
    hub.post("/v1/contacts", &json!({"name": "On call", "email": "oncall@example.com"})).expect(201);
    let receiver = Receiver::answering(503);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"description": "Shop", "retry": {"delays_s": []}}));
    hub.publish("order.paid", json!({"order": 1001}));
    hub.deliver_until_idle();
    for _ in 0..20 {
        hub.tell();
        if !mail.mails().is_empty() {
            break;
        }
        hub.advance(10_000);
    }
    let mails = mail.wait_for(1);
    assert_eq!(mails[0].to, "oncall@example.com");
    let link = link_in(&hub, &mails[0].text);
    assert!(link.starts_with("/incidents/inc_"), "{link}");

    hub.advance(DAY - HOUR);
    let visitor = hub.administrator();
    let page = visitor.page(&link);
    assert!(page.contains("On call told by e-mail"), "{page}");
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    let page = submit_form(&visitor, &page, &format!("{link}/test"));
    assert!(page.get("#result").text().contains("Test delivered: 200"), "{page}");
    let page = submit_form(&visitor, &page, &format!("/webhooks/{webhook}/resume"));
    assert!(page.has_flash("Resumed.") && page.contains("Incident of"), "{page}");
    let page = submit_form(&visitor, &page, "/deliveries/retry");
    assert!(page.has_flash("Queued for retry") && page.contains("Incident of"), "{page}");
    hub.deliver_until_idle();
    let told = hub.get(&format!("/v1{link}")).expect(200).json()["told"].clone();
    assert_eq!((&told[0]["contact"], &told[0]["result"]), (&json!("On call"), &json!("sent")), "{told}");
    assert_eq!(hub.get("/v1/dead-letters").expect(200).json()["data"], json!([]));
}

#[test]
fn order_1001_is_found_retried_and_confirmed_by_two_clicks_after_the_search() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}}));
    for order in 1000..1003 {
        hub.publish("order.paid", json!({"order": order}));
    }
    hub.deliver_until_idle();
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    let visitor = hub.administrator();
    let found = visitor.page("/search?q=1001");
    let delivery = found.links().into_iter().find(|link| link.starts_with("/deliveries/dlv_"));
    // First click: the delivery.
    let path = delivery.unwrap_or_else(|| panic!("{found}")).split('?').next().unwrap().to_owned();
    let page = visitor.page(&path);
    // Second click: retry.
    submit_form(&visitor, &page, &format!("{path}/retry"));
    hub.deliver_until_idle();
    assert!(visitor.page(&path).contains("Delivered"));
    assert!(String::from_utf8_lossy(&receiver.last().body).contains("1001"));
}
