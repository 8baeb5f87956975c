"""Calls to notification URLs: what is frozen of one, the request it becomes, the words for its state.

A call is a delivery of channel `ipn`. Its fields are frozen when the event is accepted; hash and
signature are made at each attempt, with the key of that moment (docs/rules.md 5.4, docs/ipn.md).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.encoding import force_str
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.base.rows import Reading
from notifications.calls import credentials as call_credentials
from notifications.calls import payloads, signing
from notifications.calls.door import endpoint_of
from notifications.calls.fields import CallFacts, check_source
from notifications.core import resolver
from notifications.core.catalogue import Channel
from notifications.core.facts import CompanyFacts, Occasion, RuleFacts, ShopFacts
from notifications.core.reasons import Reason
from notifications.core.retry import CallPolicy
from notifications.models import Delivery, Event, NotificationRule
from shops.models import Contract, Shop, ShopKey

NOTIFICATION = "ipn_call"
NO_KEY = "NO_KEY"
_KEYS: Reading[ShopKey] = Reading(ShopKey, by="shop_id")
# Signatures of the same call by the former key or algorithm, while the overlap lasts.
FORMER_SIGNATURES = "X-BOM-Signature-Previous"
# Reasons of the resolver for a call that is journaled but not made.
NOT_MADE = (Reason.NO_URL, Reason.FORM_URLS_ONLY)

_KEY_KINDS = {
    ("form", "TEST"): ShopKey.Kind.TEST,
    ("form", "PRODUCTION"): ShopKey.Kind.PRODUCTION,
    ("rest", "TEST"): ShopKey.Kind.REST_TEST,
    ("rest", "PRODUCTION"): ShopKey.Kind.REST_PRODUCTION,
}


# --- Planning -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """Where a call goes: "form" or "rest", and the URL; both empty where no call is made."""

    format: str
    url: str
    why_not: Reason | None = None


def target(rule: NotificationRule, mode: str, source: str | None) -> Target:
    """Which of a rule's four URLs an event calls, by the table of formats (docs/ipn.md, "Which format")."""
    ending = "test" if mode == "TEST" else "production"
    form_url, rest_url = getattr(rule, f"url_{ending}"), getattr(rule, f"rest_url_{ending}")
    if not form_url and not rest_url:
        return Target("", "", Reason.NO_URL)
    chosen = payloads.call_format(source, has_form=bool(form_url), has_rest=bool(rest_url))
    if chosen is None:
        return Target("", "", Reason.FORM_URLS_ONLY)
    return Target(chosen, form_url if chosen == "form" else rest_url)


def contracts_of_shops(shops: Iterable[Shop]) -> dict[int, tuple[str, ...]]:
    """The contract numbers of some shops, by key of the shop; those without a contract are left out."""
    numbers: dict[int, tuple[str, ...]] = {}
    for shop_id, number in Contract.objects.filter(shop__in=shops).values_list("shop_id", "number"):
        numbers[shop_id] = (*numbers.get(shop_id, ()), number)
    return numbers


def contracts_of(shop: Shop) -> tuple[str, ...]:
    """The contract numbers of a shop."""
    return contracts_of_shops([shop]).get(shop.pk, ())


def plan(
    event: Event,
    rule: NotificationRule,
    facts: CompanyFacts,
    shop_facts: ShopFacts,
    rule_facts: RuleFacts,
    contracts: Callable[[Shop], tuple[str, ...]] = contracts_of,
) -> Delivery | None:
    """The outbox row (not saved) of the call that a rule makes for an event.

    None when the resolver lets nothing out, as for a suspended shop. A call that cannot be made
    for want of a URL is a `not_sent` row, so that the journal tells it.

    Args:
        contracts: what gives the contract numbers of the shop.
    """
    aimed = target(rule, event.mode, event.data.get("source"))
    occasion = Occasion(address=aimed.url, why_not=aimed.why_not)
    (decision,) = resolver.resolve(facts, NOTIFICATION, shop=shop_facts, rule=rule_facts, occasion=occasion)
    if not decision.delivers and decision.reason not in NOT_MADE:
        return None
    row = Delivery(
        event=event,
        company=event.company,
        shop=event.shop,
        notification=NOTIFICATION,
        rule=rule,
        channel=Channel.IPN,
        mode=event.mode,
        resolution=resolver.resolution_json(decision),
        status=Delivery.Status.QUEUED if decision.delivers else Delivery.Status.NOT_SENT,
        error="" if decision.delivers else decision.reason.upper(),
    )
    if decision.delivers:
        aim(row, aimed)
        row.call = {**frozen(rule), **content(event, aimed.format, contracts)}
    return row


def aim(row: Delivery, target: Target) -> None:
    """Point a row at a URL."""
    row.address = row.normalised_address = target.url
    row.endpoint = endpoint_of(target.url)[:300]


def frozen(rule: NotificationRule) -> dict[str, Any]:
    """What a call keeps of its rule: how it is repeated, and whether it may go out unencrypted."""
    return {"profile": rule.profile, "auto_retry": rule.auto_retry, "http_confirmed": rule.http_confirmed}


def content(
    event: Event, call_format: str, contracts: Callable[[Shop], tuple[str, ...]] = contracts_of
) -> dict[str, Any]:
    """What a call says, frozen: the fields of a form call, or the answer of a REST call."""
    assert event.shop
    facts = CallFacts(
        trigger=event.type,
        mode=event.mode,
        site_id=event.shop.site_id,
        occurred_at=event.occurred_at,
        event_id=event.event_id,
        data=event.data,
        contracts=() if event.data.get("contract") else contracts(event.shop),
    )
    if call_format == "form":
        return {"format": "form", "fields": payloads.form_fields(facts)}
    return {"format": "rest", "answer": payloads.rest_answer(facts, server_date=event.accepted_at or event.occurred_at)}


def policy_of(delivery: Delivery) -> CallPolicy:
    """How the call is repeated; one asked for by a person never is."""
    if delivery.is_manual or delivery.is_test:
        return CallPolicy()
    return CallPolicy(delivery.call.get("profile", "standard"), bool(delivery.call.get("auto_retry")))


# --- The request ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    url: str
    body: bytes
    content_type: str
    headers: dict[str, str]


class MissingKey(Exception):
    """The shop has no key for the format and mode of the call."""


class PlainHttp(Exception):
    """A PRODUCTION call to an http:// URL that the merchant has not confirmed."""


def keys_of(deliveries: Iterable[Delivery]) -> dict[tuple[int, str], ShopKey]:
    """The keys that these calls may need, by (shop, kind); decrypted only when used."""
    shops = {delivery.shop_id for delivery in deliveries}
    return {(key.shop_id, key.kind): key for key in _KEYS.all(shops)}


def request_of(
    delivery: Delivery,
    keys: Mapping[tuple[int, str], ShopKey],
    credentials: call_credentials.Known | None = None,
    now: datetime | None = None,
) -> Request:
    """The signed request of the next attempt.

    While a key or an algorithm has just changed, a header carries the signatures of the former ones.

    The hash is the same whenever the same attempt is made again, so that a receiver recognises
    the one duplicate there can be: a call answered just before its worker died.

    Raises MissingKey, PlainHttp.
    """
    shop = delivery.shop
    assert shop
    plain = delivery.mode == "PRODUCTION" and delivery.address.lower().startswith("http://")
    if plain and not delivery.call.get("http_confirmed") and not settings.IPN_ALLOW_PRIVATE_NETWORKS:
        # Saving a rule refuses it already; the door itself does not know the mode.
        raise PlainHttp
    number = delivery.attempt_count + 1
    call_format = delivery.call["format"]
    key = keys.get((shop.pk, _KEY_KINDS[call_format, delivery.mode]))
    if key is None or not key.value:
        raise MissingKey
    now = now or timezone.now()
    values = key.values_at(now)
    if call_format == "form":
        signed = payloads.signed_fields(
            delivery.call["fields"],
            check_src=check_source(
                delivery.event.type,
                delivery.event.data.get("source"),
                retry=number > 1,
                manual=delivery.is_manual,
            ),
            unique=hashlib.sha256(f"{delivery.pk}:{number}".encode()).hexdigest(),
            first=number == 1 and not delivery.is_manual,
        )
        body, content_type = payloads.form_body(signed, key=key.value, algorithm=algorithm(shop, delivery.mode))
        pairs = list(product(values, shop.accepted_algorithms(delivery.mode, now)))
        former = [signing.form_signature(signed, value, name) for value, name in pairs[1:]]
    else:
        body, content_type = payloads.rest_call(delivery.call["answer"], password=key.value)
        former = [payloads.rest_hash(delivery.call["answer"], value) for value in values[1:]]
    headers = {
        "X-BOM-Delivery": str(delivery.pk),
        "X-BOM-Event": header_text(delivery.event.event_id),
        "X-BOM-Mode": delivery.mode,
        **({"X-BOM-Test": "true"} if delivery.is_test else {}),
        **({FORMER_SIGNATURES: ", ".join(former)} if former else {}),
        **(call_credentials.header(delivery, credentials) if credentials else {}),
    }
    return Request(delivery.address, body, content_type, headers)


def algorithm(shop: Shop, mode: str) -> str:
    """The signature algorithm that the shop chose for a mode."""
    return shop.algorithm_test if mode == "TEST" else shop.algorithm_production


def header_text(text: str) -> str:
    """Text fit for a header: printable ASCII, so that an event id from outside cannot add a line."""
    if text.isascii() and text.isprintable():
        return text[:200]
    return "".join(character if " " <= character <= "~" else "?" for character in text)[:200]


# --- Words ----------------------------------------------------------------------------------------

_ERROR_LABELS = {
    "TIMEOUT": gettext_lazy("Serveur injoignable"),
    "SSL_HANDSHAKE": gettext_lazy("Échec du handshake SSL"),
    "CONNECTION_INTERRUPTED": gettext_lazy("Connexion interrompue"),
    "CONNECTION_REFUSED": gettext_lazy("Connexion refusée"),
    "NO_URL": gettext_lazy("URL non définie"),
    "FORM_URLS_ONLY": gettext_lazy("N/A"),
    NO_KEY: gettext_lazy("Clé absente"),
    "PLAIN_HTTP": gettext_lazy("Appel de PRODUCTION en http:// non confirmé"),
}
_REDIRECT_LABELS = {
    301: gettext_lazy("Envoyé (redirection permanente)"),
    308: gettext_lazy("Envoyé (redirection permanente)"),
    302: gettext_lazy("Envoyé (redirection temporaire)"),
    307: gettext_lazy("Envoyé (redirection temporaire)"),
    303: gettext_lazy("Envoyé (redirection vers une autre page)"),
}


def error_code(error: str, status: int | None) -> str:
    """The code of a failure as mails and journal give it, e.g. FAILED_SERVER_403_ERROR."""
    if error == NO_KEY:
        return NO_KEY
    return f"FAILED_SERVER_{status}_ERROR" if status and not error else f"FAILED_{error or 'CALL'}_ERROR"


def kind_of(code: str) -> str:
    """The kind of failure that an error code names: FAILED_TIMEOUT_ERROR → TIMEOUT."""
    return code.removeprefix("FAILED_").removesuffix("_ERROR")


def status_label(delivery: Delivery) -> str:
    """« Statut URL de notification » of a call, in the words of the reference (9.3)."""
    code = kind_of(delivery.error.partition(" ")[0])
    match delivery.status:
        case Delivery.Status.SENDING:
            return _("Appel en cours")
        case Delivery.Status.SENT:
            return force_str(_REDIRECT_LABELS.get(delivery.http_status or 0, _("Envoyé")))
        case Delivery.Status.QUEUED | Delivery.Status.CANCELLED:
            return delivery.get_status_display()
    if delivery.http_status and not 200 <= delivery.http_status < 300 and code.startswith("SERVER_"):
        return _("Erreur serveur %(status)s") % {"status": delivery.http_status}
    return force_str(_ERROR_LABELS.get(code, _("Échoué")))


def failure_label(code: str) -> str:
    """A failure in a few words, from its error code."""
    kind = kind_of(code)
    if kind.startswith("SERVER_"):
        return _("Erreur serveur %(status)s") % {"status": kind.removeprefix("SERVER_")}
    return force_str(_ERROR_LABELS.get(kind, _("Échoué")))
