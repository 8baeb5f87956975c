"""User and password of protected notification URLs: kept encrypted, sent to the server they were given for.

They go out in an `Authorization` header to the servers of the rule's URLs of that mode, and nowhere else: a URL
that is only being tried, or one of former times, gets none. A rule whose URL moves to another server
has to be told them again.
"""

import base64
from collections.abc import Iterable, Mapping

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from backoffice.base.rows import Reading, join
from backoffice.text import characters
from backoffice.text.targets import BadUrl
from companies import audit
from companies.audit import Changes
from notifications.calls.door import endpoint_of
from notifications.core.catalogue import MODES, RuleType
from notifications.models import CallCredential, Delivery, NotificationRule

MAX_LENGTH = 200
# Mode → (user, password), or None to remove; a mode that is left out stays as it is.
Given = Mapping[str, tuple[str, str] | None]


def endpoints(rule: NotificationRule, mode: str) -> frozenset[str]:
    """The servers that a rule calls in a mode."""
    ending = "test" if mode == "TEST" else "production"
    urls = (getattr(rule, f"url_{ending}"), getattr(rule, f"rest_url_{ending}"))
    return frozenset(_endpoint(url) for url in urls if url)


def _endpoint(url: str) -> str:
    try:
        return endpoint_of(url)
    except BadUrl:
        # Stored before a rule of today: it leads nowhere, and to no other server than itself.
        return url


def kept_modes(rule: NotificationRule) -> frozenset[str]:
    """The modes in which a rule has a user and a password."""
    return frozenset(rule.credentials.values_list("mode", flat=True)) if rule.pk else frozenset()


def check(given: Given, rule: NotificationRule) -> None:
    """Refuse what no server could be sent. Raises ValidationError, without what was typed."""
    for mode, pair in given.items():
        if mode not in MODES:
            raise ValidationError({"credentials": _("« %(mode)s » n'est pas un mode.") % {"mode": mode}})
        if pair is None:
            continue
        if rule.type != RuleType.IPN_CALL:
            raise ValidationError(
                {"credentials": _("Seule une règle « Appel URL de notification » a un accès protégé.")}
            )
        if said := problem(*pair):
            raise ValidationError(
                {"credentials": _("Accès protégé, mode %(mode)s : %(problem)s") % {"mode": mode, "problem": said}}
            )


def problem(username: str, password: str) -> str:
    """What is wrong with a user and a password; empty for nothing."""
    if not username or not password:
        return _("indiquez l'identifiant et le mot de passe, ou aucun des deux.")
    if ":" in username:
        return _("un identifiant ne contient pas de deux-points (:).")
    if max(len(username), len(password)) > MAX_LENGTH:
        return _("%(max)d caractères au plus.") % {"max": MAX_LENGTH}
    if any(characters.first_hidden(text) or not text.isprintable() for text in (username, password)):
        return _("l'identifiant et le mot de passe tiennent sur une ligne, sans caractère invisible.")
    return ""


def save(*, rule: NotificationRule, given: Given, before: Mapping[str, frozenset[str]]) -> Changes:
    """Store what was given of a rule that is saved, in its transaction; returns what changed, masked.

    Args:
        before: mode → the servers it called before.

    Raises ValidationError where a URL moved to another server whose user and password are not given.
    """
    check(given, rule)
    known = {item.mode: item for item in rule.credentials.all()}
    changes: Changes = {}
    for mode in MODES:
        item, pair = known.get(mode), given.get(mode, ...)
        if pair is ...:
            if item is not None and not endpoints(rule, mode) <= before[mode]:
                raise ValidationError(
                    _(
                        "Mode %(mode)s : l'URL mène à un autre serveur. L'identifiant et le mot de passe enregistrés "
                        "valent pour l'ancien : saisissez-les de nouveau, ou retirez-les."
                    )
                    % {"mode": mode},
                    code="credentials_of_another_server",
                )
            continue
        if pair is None:
            if item is not None:
                item.delete()
                changes[f"credentials.{mode}"] = [audit.MASK, None]
            continue
        if item is not None and (item.username, item.password) == pair:
            continue
        changes[f"credentials.{mode}"] = [audit.MASK if item else None, audit.MASK]
        item = item or CallCredential(rule=rule, mode=mode)
        item.username, item.password = pair
        item.changed_at = timezone.now()
        item.full_clean(exclude=["rule"])
        item.save()
    return changes


# --- Calling --------------------------------------------------------------------------------------

_CREDENTIALS: Reading[CallCredential] = Reading(CallCredential, by="rule_id")
_RULES: Reading[NotificationRule] = Reading(NotificationRule)
Known = Mapping[tuple[int | None, str], CallCredential]


def of_deliveries(deliveries: Iterable[Delivery]) -> dict[tuple[int | None, str], CallCredential]:
    """The credentials that these calls may need, by (rule, mode); decrypted only when used.

    Asks for none unless some call was loaded with `is_protected`.
    """
    rules = {delivery.rule_id for delivery in deliveries if getattr(delivery, "is_protected", False)}
    if not rules:
        return {}
    credentials = _CREDENTIALS.all(rules)
    join(credentials, "rule", _RULES)
    return {(item.rule_id, item.mode): item for item in credentials}


def header(delivery: Delivery, known: Known) -> dict[str, str]:
    """The `Authorization` header of a call; empty where it has none, or goes to another server."""
    item = known.get((delivery.rule_id, delivery.mode))
    if item is None or delivery.endpoint not in {one[:300] for one in endpoints(item.rule, delivery.mode)}:
        return {}
    pair = f"{item.username}:{item.password}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
