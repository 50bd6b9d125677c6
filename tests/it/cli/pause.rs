//! `hookpost pause` and `hookpost resume`.

use serde_json::json;

use crate::support::process::{PATIENCE, Process, Site, stderr, stdout, wait_until};
use crate::support::receiver::Receiver;

#[test]
fn commands_pause_and_resume_the_deliveries_of_a_running_server_and_of_a_stopped_one() {
    let (site, key) = Site::with_key();
    let receiver = Receiver::start();
    let run = |arguments: &[&str]| {
        let output = site.run(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let mut command = site.serve_command();
    command.arg("--paused");
    let process = Process::start(command);
    let client = process.client(&key);
    client.add_webhook(&receiver.url(), &json!({}));
    client.publish("first").unwrap().expect(202);
    assert_eq!(client.get("/v1/pause")["reason"], "The server was started with --paused.");
    assert_eq!(run(&["resume", "--json"]), "{\"paused\":false,\"was_paused\":true}\n");
    receiver.wait_for(1);
    run(&["pause", "--reason", "Moving."]);
    assert!(wait_until(PATIENCE, || process
        .client(&key)
        .call("GET", "/metrics", None)
        .text
        .contains("\nhookpost_paused 1\n")));
    client.publish("second").unwrap().expect(202);
    process.signal("TERM");
    process.ended(PATIENCE);
    assert_eq!(receiver.hits(), 1);
    let process = site.serve();
    assert_eq!(process.client(&key).get("/v1/pause")["reason"], "Moving.");
    process.kill();
    assert_eq!(receiver.hits(), 1);
    assert_eq!(run(&["resume"]), "Deliveries are sent again.\n");
    assert_eq!(run(&["resume"]), "Deliveries were not paused.\n");
    let _process = site.serve();
    receiver.wait_for(2);
}
