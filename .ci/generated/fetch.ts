// The types of openapi-typescript with openapi-fetch, used against the server.
import assert from "node:assert";
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const client = createClient<paths>({
    baseUrl: process.env.HOOKPOST_URL,
    headers: { Authorization: `Bearer ${process.env.HOOKPOST_KEY}` },
});

function ok<T>(answer: { data?: T; error?: unknown }): T {
    assert(answer.data !== undefined, JSON.stringify(answer.error));
    return answer.data;
}

const url = "http://127.0.0.1:9/orders";
const webhook = ok(await client.POST("/v1/webhooks", { body: { url, events: ["order.*"], active: false } }));
assert.equal(webhook.state, "paused");
const receipt = ok(await client.POST("/v1/events", { body: { type: "order.paid", data: { id: 1001 } } }));
assert.equal(receipt.deliveries[0]?.webhook_id, webhook.id);
const page = ok(await client.GET("/v1/deliveries", { params: { query: { webhook_id: webhook.id } } }));
assert.equal(page.data[0]?.event_id, receipt.id);
const retried = ok(await client.POST("/v1/deliveries/retry", { body: { webhook_id: webhook.id, dry_run: true } }));
assert.equal(retried.count, 1);
const path = { name: "our-shop" };
const profile = ok(await client.PUT("/v1/profiles/{name}", { params: { path }, body: { based_on: "generic" } }));
assert.equal(profile.name, "our-shop");
const refused = await client.POST("/v1/webhooks", { body: { url: "ftp://files.example", events: ["order.*"] } });
assert.equal(refused.error?.code, "invalid_url");
assert.equal(refused.error?.errors?.[0]?.field, "url");
console.log("openapi-fetch: the story went well");
