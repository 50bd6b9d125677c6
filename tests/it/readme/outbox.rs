//! The transactional outbox of the recipes.

use std::process::Stdio;

use rusqlite::Connection;
use serde_json::json;

use super::blocks::{blocks, blocks_for};
use super::world::World;
use crate::profiles::run;
use crate::support::process::{PATIENCE, wait_until};
use crate::support::receiver::Receiver;
use crate::support::skipped;

#[test]
fn what_a_transaction_wrote_into_the_outbox_is_published_once() {
    if run("python3", &["-c", ""], b"").is_none() {
        return skipped("HOOKPOST_TEST_REQUIRE_NODE", "no python3 to run the worker of the outbox with");
    }
    let world = World::new();
    let key = world.serve();
    let receiver = Receiver::start();
    world.post(&key, "/v1/webhooks", &json!({"url": receiver.url(), "events": ["order.*"]}));
    let database = world.folder().join("shop.db");
    let shop = Connection::open(&database).unwrap();
    let sql: Vec<_> = blocks("docs/recipes.md").into_iter().filter(|block| block.language == "sql").collect();
    let [table, sale] = &sql[..] else { panic!("{sql:?}") };
    shop.execute_batch(
        "CREATE TABLE orders (id integer PRIMARY KEY, status text); INSERT INTO orders VALUES (1001, 'new')",
    )
    .unwrap();
    shop.execute_batch(&table.text).unwrap();
    let [worker] = &blocks_for("docs/recipes.md", "outbox")[..] else { panic!("one worker") };
    std::fs::write(world.folder().join("worker.py"), &worker.text).unwrap();
    let mut command = world.command("python3");
    let running =
        command.args(["worker.py", "shop.db"]).env("HOOKPOST_KEY", &key).stdout(Stdio::null()).spawn().unwrap();
    let _worker = Killed(running);
    // The second time is a worker that was killed between the publication and the deletion.
    for _ in 0..2 {
        shop.execute_batch(&sale.text).unwrap();
        let left = || shop.query_row("SELECT count(*) FROM outbox", [], |row| row.get::<_, i64>(0)).unwrap();
        assert!(wait_until(PATIENCE, || left() == 0), "{} rows are left", left());
    }
    assert_eq!(world.statuses(&key), ["delivered"]);
    assert_eq!(receiver.hits(), 1);
    let text = receiver.last().text().to_owned();
    assert!(text.contains(r#""data":{"order_id": 1001, "amount": 99.5}"#), "{text}");
}

/// A process that is killed on drop.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
