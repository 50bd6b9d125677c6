//! A database locked by another program.

use hookpost::store::Connection;
use serde_json::json;

use crate::support::Hub;
use crate::support::receiver::Receiver;

#[test]
fn a_database_held_by_another_program_is_a_503_and_then_works_again() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let other = Connection::open(hub.database()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let body = json!({"type": "order.paid", "id": "held", "data": 1});
    let refused = hub.post("/v1/events", &body).expect(503);
    assert_eq!(refused.error_code(), "database_busy");
    // Reading still works.
    hub.get("/v1/events").expect(200);
    other.execute_batch("COMMIT").unwrap();
    let receipt = hub.post("/v1/events", &body).expect(202).json();
    assert_eq!(receipt["duplicate"], json!(false));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
}
