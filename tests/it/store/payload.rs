//! A stored event with damaged bytes.

use hookpost::store::Connection;
use serde_json::json;

use crate::support::Hub;
use crate::support::process::{PATIENCE, wait_until};
use crate::support::receiver::Receiver;

#[test]
fn a_flipped_byte_stops_that_delivery_alone() {
    for ordered in [false, true] {
        let mut hub = Hub::start();
        let receiver = Receiver::start();
        let webhook = hub.add_webhook_with(receiver.url(), &json!({"ordered": ordered}));
        hub.post(&format!("/v1/webhooks/{webhook}/pause"), &json!({}));
        hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": false})).expect(200);
        let deliveries = [1, 2, 3].map(|n| hub.publish_one("order.paid", json!({"number": n})));
        hub.stop();
        let connection = Connection::open(hub.database()).unwrap();
        let changed =
            connection.execute("UPDATE event SET data = replace(data, '1', '7') WHERE data = '{\"number\":1}'", []);
        assert_eq!(changed.unwrap(), 1);
        drop(connection);
        hub.restart();
        hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": true})).expect(200);
        let given_up = wait_until(PATIENCE, || hub.status_of(&deliveries[0]) == "failed");
        assert!(given_up, "it is {}", hub.status_of(&deliveries[0]));
        hub.deliver_until_idle();
        assert_eq!(hub.status_of(&deliveries[1]), "delivered");
        assert_eq!(hub.status_of(&deliveries[2]), "delivered");
        assert_eq!(receiver.hits(), 2);
        let reason = hub.delivery(&deliveries[0])["attempts"].to_string();
        assert!(reason.contains("checksum"), "{reason}");
    }
}
