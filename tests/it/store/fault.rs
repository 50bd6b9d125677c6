//! A panic in the writer.

use hookpost::store::StoreError;
use serde_json::json;

use crate::support::Hub;

#[test]
fn a_panic_in_the_writer_is_told_by_readyz_and_nothing_more_is_taken() {
    let hub = Hub::start();
    let store = hub.running.app.actions.store.clone();
    let faulty = store.write(|_| -> Result<(), StoreError> { panic!("a fault on purpose") });
    assert!(faulty.wait().is_err());
    // The end of the thread becomes visible shortly after the failed response.
    while store.broken().is_none() {
        std::thread::yield_now();
    }
    hub.get("/readyz").expect(503);
    let refused = hub.post("/v1/events", &json!({"type": "a.b", "data": 1}));
    assert_eq!(refused.status, 503, "{}", refused.text);
}
