"""Applying the rules of a shop: a given list is the whole list."""

from typing import Any

from django.utils.translation import gettext as _

from backoffice.provisioning.work import Work
from backoffice.schemas.settings import CredentialsDocument, RuleDocument
from notifications.core import catalogue
from notifications.models import NotificationRule
from notifications.rules import services
from shops.models import Shop

_CREDENTIALS = {"auth_test": "TEST", "auth_production": "PRODUCTION"}


def rules_apply(work: Work, path: str, shop: Shop, value: Any) -> None:
    """Create and change the listed rules and archive the others."""
    existing = {rule.reference: rule for rule in NotificationRule.objects.filter(shop=shop, archived_at__isnull=True)}
    kept: set[str] = set()
    for where, item in work.items(value, f"{path}.rules"):
        work.report.rules += 1
        document = work.read(RuleDocument, item, where)
        if document is None or not work.once(f"rule of {shop.site_id}", document.reference, f"{where}.reference"):
            continue
        kept.add(document.reference)
        _rule_apply(work, where, shop, existing.get(document.reference), document, item)
    for reference, rule in existing.items():
        if reference not in kept and not work.errors:
            rule.shop = shop
            services.rule_archive(rule=rule, actor=work.actor)
            work.report.updated += 1


def _rule_apply(
    work: Work, path: str, shop: Shop, rule: NotificationRule | None, document: RuleDocument, item: dict[str, Any]
) -> None:
    if not _is_whole(work, path, document, is_new=rule is None):
        return
    fields, credentials = _fields(document), _credentials(document)
    if rule is None:
        fields["label"] = fields.get("label") or _usual_label(document.reference)
    elif not credentials and all(getattr(rule, name) == given for name, given in fields.items()):
        # As it is stored: also what a check of today would refuse stays as it is.
        work.report.count(False, None)
        return
    with work.guarded(path, item):
        if rule is None:
            services.rule_create(
                shop=shop, actor=work.actor, reference=document.reference, credentials=credentials, **fields
            )
            work.report.count(True, None)
        else:
            rule.shop = shop
            changed = services.rule_update(rule=rule, actor=work.actor, credentials=credentials, **fields)
            work.report.count(False, changed)


def _is_whole(work: Work, path: str, document: RuleDocument, *, is_new: bool) -> bool:
    """Whether a new rule says its type and its triggers, and no rule says them twice."""
    before = len(work.errors)
    if document.has("trigger") and document.has("triggers"):
        work.refuse(f"{path}.trigger", _("« trigger » et « triggers » ne vont pas ensemble"), document.trigger)
    elif is_new and not document.has("trigger") and not document.has("triggers"):
        work.refuse(f"{path}.triggers", _("valeur obligatoire"))
    if is_new and not document.has("type"):
        work.refuse(f"{path}.type", _("type de règle inconnu"), None)
    return len(work.errors) == before


def _fields(document: RuleDocument) -> dict[str, Any]:
    """The columns of a rule that its document gives."""
    fields = document.given(*services.RULE_FIELDS)
    if document.has("trigger"):
        fields["triggers"] = [document.trigger]
    if "email_texts" in fields and fields["email_texts"] is None:
        fields["email_texts"] = {}
    return fields


def _usual_label(reference: str) -> str:
    """What a new rule without a label is called."""
    labels = {default.reference: str(default.label) for default in catalogue.DEFAULT_RULES}
    return labels.get(reference, reference)


def _credentials(document: RuleDocument) -> dict[str, tuple[str, str] | None]:
    """User and password by mode, None to remove."""
    given: dict[str, CredentialsDocument | None] = document.given(*_CREDENTIALS)
    return {_CREDENTIALS[name]: (pair.user, pair.password) if pair else None for name, pair in given.items()}
