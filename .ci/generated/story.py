"""The client of openapi-python-client, used against the server."""

import os

from hookpost_client import AuthenticatedClient
from hookpost_client.api.deliveries import list_deliveries, retry_deliveries
from hookpost_client.api.events import publish_event
from hookpost_client.api.profiles import put_profile
from hookpost_client.api.webhooks import create_webhook
from hookpost_client.models import ChangedDeliveries, CreatedWebhook, DeliveryPage, DeliverySelection, Error, NewEvent, NewProfile, NewWebhook, Profile, Receipt

client = AuthenticatedClient(base_url=os.environ["HOOKPOST_URL"], token=os.environ["HOOKPOST_KEY"])

body = NewWebhook(url="http://127.0.0.1:9/invoices", events=["invoice.*"], active=False)
webhook = create_webhook.sync(client=client, body=body)
assert isinstance(webhook, CreatedWebhook), webhook
receipt = publish_event.sync(client=client, body=NewEvent(type_="invoice.paid", data={"id": 1001}))
assert isinstance(receipt, Receipt), receipt
assert receipt.deliveries[0].webhook_id == webhook.id
page = list_deliveries.sync(client=client, webhook_id=webhook.id)
assert isinstance(page, DeliveryPage), page
assert page.data[0].event_id == receipt.id
retried = retry_deliveries.sync(client=client, body=DeliverySelection(webhook_id=webhook.id, dry_run=True))
assert isinstance(retried, ChangedDeliveries) and retried.count == 1, retried
profile = put_profile.sync("our-invoices", client=client, body=NewProfile(based_on="generic"))
assert isinstance(profile, Profile) and profile.name == "our-invoices", profile
refused = create_webhook.sync(client=client, body=NewWebhook(url="ftp://files.example", events=["invoice.*"]))
assert isinstance(refused, Error) and refused.code == "invalid_url", refused
print("openapi-python-client: the story went well")
