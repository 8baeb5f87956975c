"""Questions as they are typed: on the command line, in the address of a page, in a call of the API."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from backoffice.text import addresses
from notifications.core.catalogue import BY_CODE, MODES, TRIGGER_LABELS
from notifications.core.facts import CompanyFacts, EventFacts
from notifications.core.obstacles import Question
from notifications.events.intake import NotJson, parse_json

PARAMETERS = ("address", "notification", "trigger", "shop", "rule", "account", "mode", "data")


class QuestionInvalid(ValueError):
    """A question that cannot be answered; `errors` is a list of (parameter, message)."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{name}: {message}" for name, message in errors))


def question_of(facts: CompanyFacts, given: Mapping[str, str | None], *, from_form: bool = False) -> Question:
    """The question to a company that the parameters ask; None is a parameter that is not given.

    Args:
        from_form: a form sends its empty fields too, and may leave out the address to ask who is told at all.

    Raises:
        QuestionInvalid: naming every parameter that cannot be used, with its value.
    """
    values = {name: value.strip() for name in PARAMETERS if (value := given.get(name)) is not None}
    errors: list[tuple[str, str]] = []
    if not from_form:
        empty = _("valeur vide : ôtez le paramètre pour ne pas filtrer.")
        errors += [(name, empty) for name, value in values.items() if not value]
        if "address" not in values:
            errors.append(("address", _("une adresse est demandée.")))
    values = {name: value for name, value in values.items() if value}
    read: dict[str, Any] = {}
    readers: dict[str, Callable[[str], Any]] = {
        **_READERS,
        "shop": lambda value: _known(value, _shops(facts), _("« %(value)s » n'est pas une boutique connue.")),
        "rule": lambda value: _known(
            value, _rules(facts, values.get("shop")), _("« %(value)s » n'est pas une règle connue.")
        ),
        "account": lambda value: _known(value, _accounts(facts), _("« %(value)s » n'est pas un compte connu.")),
    }
    for name, value in values.items():
        try:
            read[name] = readers[name](value)
        except ValueError as error:
            errors.append((name, str(error)))
    if errors:
        raise QuestionInvalid(errors)
    return _question(read)


def _question(read: dict[str, Any]) -> Question:
    data: dict[str, Any] | None = read.get("data")
    event = None
    if "mode" in read or data is not None:
        event = EventFacts(read.get("trigger", ""), read.get("mode", "PRODUCTION"), data or {})
    return Question(
        address=read.get("address", ""),
        notification=read.get("notification"),
        trigger=read.get("trigger"),
        shop=read.get("shop"),
        rule=read.get("rule"),
        account=read.get("account"),
        event=event,
        copy_ticked=bool(data["copy_ticked"]) if data is not None and "copy_ticked" in data else None,
    )


# --- One parameter --------------------------------------------------------------------------------


def _known(value: str, known: Any, message: str) -> str:
    if value not in known:
        raise ValueError(message % {"value": value[:100]})
    return value


def _shops(facts: CompanyFacts) -> set[str]:
    return {shop.site_id for shop in facts.shops}


def _rules(facts: CompanyFacts, site_id: str | None) -> set[str]:
    """The references of the rules of a shop, or of all of them."""
    shops = [shop for shop in facts.shops if site_id in (None, shop.site_id)]
    return {rule.reference for shop in shops for rule in shop.rules}


def _accounts(facts: CompanyFacts) -> set[str]:
    return {account.login for account in (*facts.users, *facts.sftp_accounts)}


def _address(value: str) -> str:
    # InvalidAddress is a ValueError that names the address.
    return addresses.validate_single(value)


def _notification(value: str) -> str:
    return _known(value, BY_CODE, _("« %(value)s » n'est pas une notification connue."))


def _trigger(value: str) -> str:
    return _known(value, TRIGGER_LABELS, _("« %(value)s » n'est pas un événement connu."))


def _mode(value: str) -> str:
    return _known(value, MODES, _("« %(value)s » n'est pas un mode : TEST ou PRODUCTION."))


def _data(value: str) -> dict[str, Any]:
    try:
        data = parse_json(value.encode("utf-8", "surrogatepass"))
    except NotJson as error:
        raise ValueError(_("« %(value)s » : %(reason)s") % {"value": value[:100], "reason": error}) from error
    if not isinstance(data, dict):
        raise ValueError(_("« %(value)s » n'est pas un objet JSON.") % {"value": value[:100]})
    return data


_READERS: dict[str, Callable[[str], Any]] = {
    "address": _address,
    "notification": _notification,
    "trigger": _trigger,
    "mode": _mode,
    "data": _data,
}
