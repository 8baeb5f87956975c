"""Notices of mail providers about our mail, read by django-anymail and recorded like notices of mail servers.

The library is used for its knowledge of each provider's documents and signatures; mail goes out over SMTP all the same.
A provider can be used where its secret is set. Amazon SES, Resend and Mandrill are left out: their documents take
libraries or addresses of their own to be believed; they send notices of mail servers as well.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from backoffice.text.addresses import normalise
from backoffice.text.characters import one_line
from notifications.core.address_health import enhanced_code
from notifications.core.catalogue import Channel
from notifications.health import recording
from notifications.health.recording import Noted, Refusal
from notifications.models import AddressSign, Delivery

# How long after a mail left, notices without an identifier of ours are about it.
WINDOW = timedelta(days=14)
_MOST_EVENTS = 1000
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
# Kinds of events that say something of an address; the others, a complaint or an opening, do not.
_REFUSED = frozenset({"bounced", "rejected", "failed"})
_DELAYED = "deferred"


@dataclass(frozen=True)
class Provider:
    """How the library reads a provider.

    Attributes:
        view: the class that checks and reads its requests.
        secret: the argument that takes its secret.
    """

    view: str
    secret: str


# By the name in the address of the page. `webhook_secret` is user:password of HTTP's basic authentication.
PROVIDERS: Mapping[str, Provider] = {
    "brevo": Provider("brevo.BrevoTrackingWebhookView", "webhook_secret"),
    "mailersend": Provider("mailersend.MailerSendTrackingWebhookView", "signing_secret"),
    "mailgun": Provider("mailgun.MailgunTrackingWebhookView", "webhook_signing_key"),
    "mailjet": Provider("mailjet.MailjetTrackingWebhookView", "webhook_secret"),
    "mailtrap": Provider("mailtrap.MailtrapTrackingWebhookView", "signing_secret"),
    "postal": Provider("postal.PostalTrackingWebhookView", "webhook_key"),
    "postmark": Provider("postmark.PostmarkTrackingWebhookView", "webhook_secret"),
    "sparkpost": Provider("sparkpost.SparkPostTrackingWebhookView", "webhook_secret"),
}


class NotBelieved(Exception):
    """The request does not prove that it comes from the provider."""


class Unreadable(Exception):
    """What the provider sent is no document that the library knows."""


def is_on(name: str) -> bool:
    """Whether notices of a provider are taken."""
    return name in PROVIDERS and bool(settings.BOUNCE_SECRETS.get(name))


def note(name: str, request: HttpRequest) -> Noted:
    """Record what a provider tells; raises NotBelieved and Unreadable.

    Args:
        name: one that `is_on`.
    """
    provider = PROVIDERS[name]
    module, _dot, cls = provider.view.partition(".")
    view = getattr(import_module(f"anymail.webhooks.{module}"), cls)(**{provider.secret: settings.BOUNCE_SECRETS[name]})
    validation_failure = import_module("anymail.exceptions").AnymailWebhookValidationFailure
    try:
        view.run_validators(request)
    except validation_failure as error:
        raise NotBelieved(str(error)) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NotBelieved(type(error).__name__) from error
    try:
        events = list(view.parse_events(request))[:_MOST_EVENTS]
    except Exception as error:
        # The library raises whatever its look into a document of another shape raises.
        raise Unreadable(type(error).__name__) from error
    noted = Noted()
    for event in events:
        refusals = list(_refusals(event))
        for refusal in refusals:
            noted.add(recording.note_refusal(refusal))
        noted.ignored += not refusals
    return noted


def _refusals(event: Any) -> Iterator[Refusal]:
    if event.event_type not in _REFUSED and event.event_type != _DELAYED:
        return
    delivery = _delivery(event)
    if delivery is None:
        return
    said = one_line(" ".join(str(part) for part in (event.mta_response, event.description) if part))
    code = enhanced_code(said)
    if not code or code.endswith(".0.0"):
        code = "5.1.1" if _says_for_good(event) else code
    yield Refusal(
        delivery,
        delivery.sent_at or delivery.created_at,
        code,
        said,
        AddressSign.Via.PROVIDER,
        is_delay=event.event_type == _DELAYED,
    )


def _says_for_good(event: Any) -> bool:
    """Whether the provider reports the address as permanently undeliverable, where the server's reply has no code."""
    raw = event.esp_event if isinstance(event.esp_event, dict) else {}
    return event.event_type == "bounced" and (
        event.reject_reason == "invalid"
        or raw.get("Type") == "HardBounce"
        or raw.get("event") == "hard_bounce"
        or raw.get("hard_bounce") is True
    )


def _delivery(event: Any) -> Delivery | None:
    """The mail that an event is about: by an identifier of ours, or else the last one to its recipient."""
    recipient = normalise(str(event.recipient or ""))
    mails = Delivery.objects.filter(channel=Channel.EMAIL, normalised_address=recipient)
    keys = set(_UUID.findall(f"{event.message_id} {json.dumps(event.esp_event, default=str)[:100_000]}"))
    named = mails.filter(pk__in=list(keys)[:50]).order_by("-created_at").first() if keys else None
    if named is not None or not recipient:
        return named
    recent = mails.filter(sent_at__gte=timezone.now() - WINDOW, carried_by=None)
    return recent.order_by("-sent_at").first()
