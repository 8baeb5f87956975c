"""Writes of notification rules: creating, changing, copying, archiving; always audited, in one transaction."""

from copy import deepcopy
from itertools import chain, count
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone, translation
from django.utils.text import slugify
from django.utils.translation import gettext as _

from backoffice.base import limits
from backoffice.text import addresses
from companies import audit, status
from companies.audit import Actor, Changes, StaleVersion
from notifications.calls import credentials as call_credentials
from notifications.calls.url_rules import check_url
from notifications.core import catalogue, templating
from notifications.core.catalogue import SHOP_MANAGER_SYMBOL, RuleType
from notifications.events import digests, silences
from notifications.health import verification
from notifications.models import NotificationRule
from shops.models import Shop


def default_rules_create(*, shop: Shop, actor: Actor) -> list[NotificationRule]:
    """Give a new shop the documented rules (docs/rules.md 4b), addressed to its manager."""
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    with translation.override("fr"):
        rules = [
            NotificationRule(
                shop=shop,
                reference=rule.reference,
                type=rule.type,
                label=str(rule.label),
                enabled=rule.enabled,
                triggers=catalogue.sort_triggers(rule.triggers),
                conditions=[
                    {
                        "variable": name,
                        "operator": operator,
                        "value": list(value) if isinstance(value, tuple) else value,
                    }
                    for name, operator, value in rule.conditions
                ],
                recipients=[] if rule.type == RuleType.BUYER_EMAIL else [SHOP_MANAGER_SYMBOL],
            )
            for rule in catalogue.DEFAULT_RULES
        ]
    NotificationRule.objects.bulk_create(rules)
    audit.record(
        actor=actor,
        action="rules.default_created",
        obj=shop,
        company=shop.company,
        changes={"rules": [None, [rule.reference for rule in rules]]},
    )
    return rules


RULE_FIELDS = (
    "type",
    "label",
    "enabled",
    "triggers",
    "conditions",
    "recipients",
    *NotificationRule.URL_FIELDS,
    "http_confirmed",
    "auto_retry",
    "profile",
    "digest",
    "email_texts",
    "email_fields",
)


def _check_rule(rule: NotificationRule) -> None:
    """Normalise and validate a rule whole; ValidationError by field."""
    errors: dict[str, list[str]] = {}
    unknown = [code for code in rule.triggers if code not in catalogue.TRIGGER_ORDER]
    if unknown:
        code = _named(unknown[0])
        errors["triggers"] = [_("« %(code)s » n'est pas un événement déclencheur connu.") % {"code": code}]
    elif not rule.triggers:
        errors["triggers"] = [_("Choisissez au moins un événement déclencheur.")]
    else:
        rule.triggers = catalogue.sort_triggers(rule.triggers)
    if messages := condition_errors(rule.conditions):
        errors["conditions"] = messages
    try:
        rule.recipients = check_recipients(rule.type, rule.recipients)
    except ValidationError as error:
        errors["recipients"] = error.messages
    for name in NotificationRule.URL_FIELDS:
        if url := getattr(rule, name):
            try:
                production = name in NotificationRule.PRODUCTION_URL_FIELDS
                setattr(rule, name, check_url(url, production=production, http_confirmed=rule.http_confirmed))
            except ValidationError as error:
                errors[name] = error.messages
    if rule.digest != catalogue.EACH and rule.type != RuleType.MERCHANT_EMAIL:
        errors["digest"] = [_("Seule une règle « E-mail envoyé au marchand » a un récapitulatif.")]
    try:
        rule.email_texts = templating.check_texts(rule.type, rule.email_texts)
    except templating.TextError as error:
        errors["email_texts"] = [str(error)]
    try:
        rule.email_fields = templating.check_fields(rule.type, rule.email_fields)
    except templating.TextError as error:
        errors["email_fields"] = [str(error)]
    if errors:
        raise ValidationError(errors)
    rule.full_clean(exclude=["triggers", "conditions", "recipients", "email_texts", "email_fields"])


def check_recipients(rule_type: str, recipients: list[str]) -> list[str]:
    """The recipients of a rule, validated one by one, twins left out (docs/rules.md 4.2).

    Raises ValidationError naming each bad address, or when the type does not allow the list.
    """
    if rule_type == RuleType.BUYER_EMAIL:
        if recipients:
            raise ValidationError(
                _("Une règle « E-mail envoyé à l'acheteur » n'a pas de destinataire : elle écrit à l'acheteur.")
            )
        return []
    if (count := len(recipients) - (SHOP_MANAGER_SYMBOL in recipients)) > limits.MAX_ADDRESSES:
        raise ValidationError(limits.too_many(count))
    errors, kept = [], []
    for entry in recipients:
        if entry == SHOP_MANAGER_SYMBOL:
            kept.append(entry)
            continue
        try:
            kept.append(addresses.validate_single(entry))
        except addresses.InvalidAddress as error:
            errors.append(str(error))
    if errors:
        raise ValidationError(limits.told(errors))
    if rule_type == RuleType.MERCHANT_EMAIL and not kept:
        raise ValidationError(_("Une règle « E-mail envoyé au marchand » a au moins un destinataire."))
    return addresses.unique(kept)


def condition_errors(conditions: list[Any]) -> list[str]:
    """Why the conditions of a rule are refused: their number, or the first bad ones and how many others."""
    if len(conditions) > limits.MAX_CONDITIONS:
        return [_("Une règle compte au plus %(max)d conditions.") % {"max": limits.MAX_CONDITIONS}]
    return limits.told([message for condition in conditions if (message := condition_error(condition))])


def condition_error(condition: Any) -> str | None:
    """Why a condition is refused, or None: unknown variable, operator, or impossible comparison."""
    if not isinstance(condition, dict) or set(condition) != {"variable", "operator", "value"}:
        return _("Une condition se compose d'une variable, d'un opérateur et d'une valeur.")
    variable = catalogue.VARIABLES.get(condition["variable"]) if isinstance(condition["variable"], str) else None
    if variable is None:
        return _("« %(name)s » n'est pas une variable connue.") % {"name": _named(condition["variable"])}
    operator, value = condition["operator"], condition["value"]
    if not isinstance(operator, str) or operator not in catalogue.OPERATORS:
        return _("« %(name)s » n'est pas un opérateur connu.") % {"name": _named(operator)}
    if operator not in variable.operators:
        return _("L'opérateur « %(operator)s » ne s'applique pas à la variable « %(variable)s ».") % {
            "operator": operator,
            "variable": variable.code,
        }
    if operator in ("in", "not_in"):
        if not isinstance(value, list) or not value:
            return _("L'opérateur « %(operator)s » attend une liste de valeurs.") % {"operator": operator}
        if len(value) > limits.MAX_CONDITION_VALUES:
            return _("La liste d'une condition compte au plus %(max)d valeurs.") % {"max": limits.MAX_CONDITION_VALUES}
        items = value
    else:
        items = [value]
    for item in items:
        if not _value_fits(variable, item):
            return _("La valeur « %(value)s » ne convient pas à la variable « %(variable)s ».") % {
                "value": _named(item),
                "variable": variable.code,
            }
    return None


def _named(value: Any) -> str:
    """A refused value in a message, short."""
    if not isinstance(value, str):
        return limits.named(value, 60)
    return value if len(value) <= 60 else value[:59] + "…"


def _value_fits(variable: catalogue.Variable, value: Any) -> bool:
    match variable.kind:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "choice":
            return value in variable.values
    return isinstance(value, str) and bool(value.strip()) and len(value) <= 100


@transaction.atomic
def rule_create(
    *, shop: Shop, actor: Actor, reference: str, credentials: call_credentials.Given | None = None, **fields: Any
) -> NotificationRule:
    """Create a rule. Raises ValidationError by field.

    Args:
        credentials: mode → (user, password) of protected URLs.
    """
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    rule = NotificationRule(shop=shop, reference=reference, **{"recipients": [SHOP_MANAGER_SYMBOL], **fields})
    if rule.type == RuleType.BUYER_EMAIL and "recipients" not in fields:
        rule.recipients = []
    _check_rule(rule)
    _note_emptied(rule, actor)
    rule.save()
    silences.follow(rule)
    changes = audit.creation({"reference": reference, **{name: getattr(rule, name) for name in RULE_FIELDS}})
    if credentials:
        changes |= call_credentials.save(rule=rule, given=credentials, before=_endpoints(rule))
    audit.record(actor=actor, action="rule.created", obj=rule, company=shop.company, changes=changes)
    verification.addresses_saved(company=shop.company, saved=rule.recipients, actor=actor)
    return rule


@transaction.atomic
def rule_update(
    *,
    rule: NotificationRule,
    actor: Actor,
    seen: int | None = None,
    credentials: call_credentials.Given | None = None,
    **fields: Any,
) -> Changes:
    """Change a rule; returns what changed. An emptied recipient list keeps who decided it.

    Args:
        seen: the version the writer saw; StaleVersion when the rule has moved on.
        credentials: mode → (user, password) of protected URLs, None to remove; an absent mode stays.
    """
    status.ensure_open(actor=actor, company=rule.shop.company, shop=rule.shop)
    _hold(rule, seen)
    before = {name: getattr(rule, name) for name in RULE_FIELDS}
    called = _endpoints(rule)
    for name, value in fields.items():
        setattr(rule, name, value)
    if rule.type != before["type"] and "digest" not in fields:
        rule.digest = catalogue.EACH
    # What a newer check would refuse, a URL that is no longer allowed say, can still be switched off.
    if fields != {"enabled": False}:
        _check_rule(rule)
    changes = {
        name: [audit.plain(before[name]), audit.plain(getattr(rule, name))]
        for name in RULE_FIELDS
        if before[name] != getattr(rule, name)
    }
    if "email_texts" in changes:
        changes |= _text_changes(*changes.pop("email_texts"))
    if credentials or called != _endpoints(rule):
        changes |= call_credentials.save(rule=rule, given=credentials or {}, before=called)
    if not changes:
        return changes
    if "recipients" in changes:
        _note_emptied(rule, actor)
    rule.version += 1
    rule.save()
    if before["digest"] != catalogue.EACH:
        digests.reschedule(rule)
    silences.follow(rule)
    audit.record(actor=actor, action="rule.updated", obj=rule, company=rule.shop.company, changes=changes)
    if "recipients" in changes:
        new = set(rule.recipients) - set(before["recipients"])
        verification.addresses_saved(company=rule.shop.company, saved=new, actor=actor)
    return changes


def _endpoints(rule: NotificationRule) -> dict[str, frozenset[str]]:
    return {mode: call_credentials.endpoints(rule, mode) for mode in catalogue.MODES}


def _hold(rule: NotificationRule, seen: int | None) -> None:
    """Lock a rule and bring the instance up to date. StaleVersion when it moved on or is in use no more."""
    rule.refresh_from_db(
        from_queryset=NotificationRule.objects.select_for_update(of=("self",)).select_related("shop__company")
    )
    if seen is not None and rule.archived_at is not None:
        raise StaleVersion
    audit.check_seen(seen, rule.version)


def _text_changes(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> Changes:
    """The texts that changed, one entry each, so that the history shows them side by side."""
    return {
        f"email_texts.{language}.{part}": [old, new]
        for language in templating.LANGUAGES
        for part in templating.PARTS
        if (old := before.get(language, {}).get(part)) != (new := after.get(language, {}).get(part))
    }


def free_reference(shop: Shop, label: str) -> str:
    """A reference for a new rule of the shop, made of its label: 1 to 40 of `[a-z0-9-]`.

    References of default rules stay theirs, and one that was ever used is not given again: the
    journal names rules by it.
    """
    stem = slugify(label).replace("_", "-").strip("-")[:36].strip("-") or "regle"
    taken = set(NotificationRule.objects.filter(shop=shop).values_list("reference", flat=True))
    taken |= {rule.reference for rule in catalogue.DEFAULT_RULES}
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    return next(name for name in names if name not in taken)


# What a copy of a rule takes over besides its label, reference and state.
_COPIED = ("type", "triggers", "conditions", "recipients", *NotificationRule.URL_FIELDS, "auto_retry", "profile")


_COPIED_CONTENT = ("http_confirmed", "digest", "email_texts", "email_fields")


@transaction.atomic
def rule_duplicate(*, rule: NotificationRule, actor: Actor) -> NotificationRule:
    """Copy a rule under a new reference, switched off.

    The copy of a default rule is a custom one. Raises ValidationError by field when the original
    would be refused today.
    """
    label = (_("%(label)s (copie)") % {"label": rule.display_label[:190]})[:200]
    return rule_create(
        shop=rule.shop,
        actor=actor,
        reference=free_reference(rule.shop, label),
        label=label,
        enabled=False,
        **{name: deepcopy(getattr(rule, name)) for name in (*_COPIED, *_COPIED_CONTENT)},
    )


@transaction.atomic
def rule_delete(*, rule: NotificationRule, actor: Actor, seen: int | None = None) -> None:
    """Remove a custom rule from use; its deliveries keep naming it.

    Args:
        seen: the version the writer saw; StaleVersion when the rule has moved on.

    Raises ValidationError for a default rule, which every shop keeps and can be switched off.
    """
    _hold(rule, seen)
    if rule.is_default:
        raise ValidationError(_("Une règle par défaut ne se supprime pas : désactivez-la."))
    rule_archive(rule=rule, actor=actor)


@transaction.atomic
def rule_archive(*, rule: NotificationRule, actor: Actor) -> None:
    """Remove a rule from use; deliveries keep referring to it."""
    status.ensure_open(actor=actor, company=rule.shop.company, shop=rule.shop)
    rule.archived_at = timezone.now()
    rule.save(update_fields=["archived_at", "updated_at"])
    digests.reschedule(rule)
    rule.credentials.all().delete()
    audit.record(
        actor=actor,
        action="rule.archived",
        obj=rule,
        company=rule.shop.company,
        changes={"reference": [rule.reference, None]},
    )


def _note_emptied(rule: NotificationRule, actor: Actor) -> None:
    emptied = rule.type == RuleType.IPN_CALL and not rule.recipients
    rule.emptied_by = actor.label[:200] if emptied else ""
    rule.emptied_at = timezone.now() if emptied else None
