// The client of openapi-generator (typescript-fetch), used against the server.
import assert from "node:assert";
import { Configuration, DeliveriesApi, EventsApi, ProfilesApi, ResponseError, WebhooksApi } from "./generator/index.js";

const configuration = new Configuration({ basePath: process.env.HOOKPOST_URL, accessToken: process.env.HOOKPOST_KEY });
const webhooks = new WebhooksApi(configuration);
const deliveries = new DeliveriesApi(configuration);

const url = "http://127.0.0.1:9/shop";
const webhook = await webhooks.createWebhook({ newWebhook: { url, events: ["shop.*"], active: false } });
assert.equal(webhook.state, "paused");
const events = new EventsApi(configuration);
const receipt = await events.publishEvent({ newEvent: { type: "shop.paid", data: { id: 1001 } } });
assert.equal(receipt.deliveries[0]?.webhookId, webhook.id);
const page = await deliveries.listDeliveries({ webhookId: webhook.id });
assert.equal(page.data[0]?.eventId, receipt.id);
const retried = await deliveries.retryDeliveries({ deliverySelection: { webhookId: webhook.id, dryRun: true } });
assert.equal(retried.count, 1);
const profiles = new ProfilesApi(configuration);
const profile = await profiles.putProfile({ name: "our-forge", newProfile: { basedOn: "github" } });
assert.equal(profile.name, "our-forge");
const bad = webhooks.createWebhook({ newWebhook: { url: "ftp://files.example", events: ["shop.*"] } });
const refused = await bad.then(() => assert.fail("it was taken"), (error: ResponseError) => error.response.json());
assert.equal(refused.code, "invalid_url");
console.log("openapi-generator: the story went well");
