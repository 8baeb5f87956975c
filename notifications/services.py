"""Writes of the notification side: publishing events into the outbox, rules, resending.

`publish` is the only way anything is sent: it resolves the recipients and writes the outbox rows
in the caller's transaction, so a change and its mails are committed together or not at all.
"""

import hashlib
import uuid
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from itertools import chain, count
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone, translation
from django.utils.text import slugify
from django.utils.translation import gettext as _

from companies import audit, status
from companies.audit import Actor, Changes, StaleVersion
from companies.models import Company, SftpAccount, User
from shops.models import Shop

from . import addresses, calls, catalogue, doorbell, emails, hooks, resolver, selectors, templating, wording
from .attachments import File
from .catalogue import SHOP_MANAGER_SYMBOL, Channel, RuleType
from .facts import CompanyFacts, EventFacts, ShopFacts
from .intake import EventConflict, ValidEvent
from .models import Attachment, Delivery, Event, Message, NotificationRule
from .resolver import Decision
from .url_rules import check_url

# What the back office itself announces → the notifications it leads to, besides the rules whose
# trigger it is.
NOTIFICATIONS_OF_EVENT: dict[str, tuple[str, ...]] = {
    "shop.created": ("shop_created",),
    "production_key.generated": ("production_key_generated",),
    "production_key.regenerated": ("production_key_generated",),
    "three_d_secure.activated": ("three_d_secure_activated",),
    "user_account.created": ("user_account",),
    "user_account.modified": ("user_account",),
    "sftp_account.created": ("sftp_account",),
    "sftp_account.modified": ("sftp_account",),
    "account.address_changed": ("account_security",),
    "account.password_changed": ("account_security",),
    "account.locked": ("account_security",),
    "account.password_reset_requested": ("account_security",),
    "account.second_factor_changed": ("account_security",),
    "account.new_device": ("account_security",),
    "address.checked": ("address_check",),
    "consistency.errors_found": ("consistency_report",),
    "billing.issued": ("detailed_billing",),
    "payment_order.sent": ("payment_order", "payment_order_copy", "payment_order_extra_copy"),
    "payment_order.problem": ("payment_order_problem",),
    "data_form.requested": ("data_form_go_live",),
    "data_form.published": ("data_form_go_live", "data_form_go_live_confirmation"),
    "data_form.confirmed": ("data_form_go_live_confirmation",),
    "ipn.failed": ("ipn_failure",),
    "ipn.recovered": ("ipn_failure",),
}


def publish(
    *,
    type: str,
    company: Company,
    shop: Shop | None = None,
    account: User | SftpAccount | None = None,
    rule: NotificationRule | None = None,
    mode: str = "PRODUCTION",
    data: dict[str, Any] | None = None,
    occasion: dict[str, Any] | None = None,
    occasions: dict[str, dict[str, Any]] | None = None,
    event_id: str = "",
    occurred_at: datetime | None = None,
    body_hash: str = "",
    external: bool = False,
    attachments: Sequence[File] = (),
) -> Event:
    """Record an event and queue a delivery for every recipient that the resolver delivers to.

    Must be called inside the transaction of the change it announces.

    Args:
        type: a trigger (DESIGN 4b) or a key of NOTIFICATIONS_OF_EVENT.
        shop, account: what it is about.
        rule: the rule it is about, for what the calls of a rule lead to.
        data: what mails and calls tell of it.
        occasion: what only this occasion knows of its recipients, see `resolver.resolve`.
        occasions: the same where the notifications of one event differ in it: notification code →
            occasion; notifications without an entry are left out. A `language` in an occasion
            is that of its addressee.
        event_id: unique per company; made here for internal events.
        attachments: files that go out with each mail of the event's own notifications.

    Returns:
        The recorded event.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("publish() belongs inside the transaction of the change it announces")
    event = Event(
        company=company,
        shop=shop,
        event_id=event_id or f"bom-{uuid.uuid4()}",
        type=type,
        mode=mode,
        occurred_at=occurred_at or timezone.now(),
        data={**(data or {}), **({"account": account.login} if account else {})},
        body_hash=body_hash,
        external=external,
    )
    event.save(force_insert=True)
    fires = shop is not None and type in catalogue.TRIGGER_ORDER
    rules = list(selectors.rules_of(shop)) if shop is not None and fires else []
    facts = selectors.company_facts(company, shops=[shop] if shop else [], live_rules=rules, accounts=False)
    shop_facts = facts.shops[0] if shop else None
    rows: list[Delivery] = []
    for code in NOTIFICATIONS_OF_EVENT.get(type, ()):
        if occasions is not None:
            if code not in occasions:
                continue
            occasion = occasions[code]
        decisions = resolver.resolve(
            facts,
            code,
            shop=shop_facts,
            rule=selectors.rule_facts(rule) if rule else None,
            account=selectors.account_facts(account, company) if account else None,
            occasion=occasion,
        )
        language = (occasion or {}).get("language", "")
        rows += _deliveries(
            event, facts, decisions, rule=rule, account=account, language=language, attachments=attachments
        )
    if shop_facts:
        rows += _rule_deliveries(event, facts, shop_facts, rules)
    Delivery.objects.bulk_create(rows)
    hooks.event_recorded(event)
    if rows:
        transaction.on_commit(doorbell.ring, robust=True)
    return event


def _rule_deliveries(
    event: Event, company: CompanyFacts, shop_facts: ShopFacts, rules: list[NotificationRule]
) -> list[Delivery]:
    """Deliveries of every enabled rule of the shop that the event fires."""
    fact = EventFacts(event.type, event.mode, event.data)
    fired = [rule for rule in shop_facts.rules if rule.enabled and resolver.rule_matches(rule, fact)]
    models = {rule.reference: rule for rule in rules}
    rows: list[Delivery] = []
    for rule in fired:
        if rule.type == RuleType.IPN_CALL:
            call = calls.plan(event, models[rule.reference], company, shop_facts, rule)
            if call is not None:
                call.dedupe_key = dedupe_key(event.pk, call.notification, call.rule_id, call.channel, call.address, "")
                rows.append(call)
            continue
        occasion = {"address": event.data.get("buyer_email")} if rule.type == RuleType.BUYER_EMAIL else None
        code = catalogue.NOTIFICATION_OF_RULE_TYPE[rule.type]
        decisions = resolver.resolve(company, code, shop=shop_facts, rule=rule, occasion=occasion)
        rows += _deliveries(event, company, decisions, rule=models[rule.reference])
    return rows


def _deliveries(
    event: Event,
    company: CompanyFacts,
    decisions: list[Decision],
    *,
    rule: NotificationRule | None = None,
    account: User | SftpAccount | None = None,
    language: str = "",
    attachments: Sequence[File] = (),
) -> list[Delivery]:
    """Outbox rows for the delivered decisions of one notification, sharing one frozen message.

    A decision that is negative for want of an address of the occasion becomes a `not_sent` row,
    so that the journal tells it.
    """
    chosen = [_usable(decision) for decision in decisions]
    sent = [decision for decision in chosen if decision.delivers]
    noted = [decision for decision in chosen if decision.reason in ("no_buyer_address", "invalid_buyer_address")]
    if not sent and not noted:
        return []
    message = None
    if sent:
        language = language or _language(event, company, account)
        with translation.override(language):
            message = emails.compose(event, sent[0].notification, language, rule=rule, account=account)
        message.has_attachments = bool(attachments)
        message.save(force_insert=True)
        _attach(message, attachments)
    alone = catalogue.BY_CODE[decisions[0].notification].one_message_each
    to = [decision.address for decision in sent if decision.as_ == "to"]
    cc = [decision.address for decision in sent if decision.as_ == "cc"]
    return [
        Delivery(
            event=event,
            company=event.company,
            shop=event.shop,
            notification=decision.notification,
            rule=rule,
            account=decision.account or "",
            # A buyer's address comes from outside: its comparison form may outgrow the column.
            address=decision.address[:500],
            normalised_address=decision.normalised[:500],
            as_field=decision.as_,
            channel=Channel.EMAIL,
            mode=event.mode,
            status=Delivery.Status.QUEUED if decision.delivers else Delivery.Status.NOT_SENT,
            error="" if decision.delivers else _reason_text(decision),
            message=message if decision.delivers else None,
            to_addresses=[decision.address] if alone else to,
            cc_addresses=[] if alone else cc,
            resolution=selectors.resolution_json(decision),
            dedupe_key=dedupe_key(
                event.pk, decision.notification, rule.pk if rule else "", Channel.EMAIL, decision.normalised, ""
            ),
        )
        for decision in [*sent, *noted]
    ]


def _attach(message: Message, files: Sequence[File]) -> None:
    Attachment.objects.bulk_create(
        Attachment(
            message=message,
            name=file.name,
            content_type=file.content_type,
            content=file.content,
            size=len(file.content),
            sha256=hashlib.sha256(file.content).hexdigest(),
        )
        for file in files
    )


def _usable(decision: Decision) -> Decision:
    """A buyer's address comes from outside; one that cannot receive mail is told, not tried."""
    if decision.delivers and decision.notification == "buyer_email":
        try:
            addresses.validate_single(decision.address)
        except addresses.InvalidAddress:
            return replace(decision, delivers=False, reason="invalid_buyer_address")
    return decision


def _reason_text(decision: Decision) -> str:
    return wording.reason(decision.reason, decision.params)


def _language(event: Event, company: CompanyFacts, account: User | SftpAccount | None) -> str:
    """The account's own for accounts, the shop's for shop matters, else the company's (DESIGN 4.9)."""
    if account is not None:
        return account.language or company.language
    if event.shop is not None:
        return event.shop.language
    return company.language


def dedupe_key(*parts: object) -> str:
    """One non-null text for uniqueness: a digest of the parts, whatever their types."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


# --- Events from outside --------------------------------------------------------------------------


def accept_event(*, valid: ValidEvent, company: Company | None = None) -> tuple[str, Event]:
    """Accept a validated event from the platform: idempotent by its id within the company.

    Args:
        company: the only company the sender may speak for; None for a platform sender.

    Returns:
        ("accepted", event) or ("duplicate", the event accepted before).

    Raises:
        EventConflict: the id was used with another body.
        EventInvalid: the shop is unknown to the sender.
    """
    shop = valid.shop_of(company)
    for _attempt in range(2):
        known = Event.objects.filter(company_id=shop.company_id, event_id=valid.id).first()
        if known is not None:
            if known.body_hash != valid.body_hash:
                raise EventConflict(valid.id)
            return "duplicate", known
        try:
            with transaction.atomic():
                event = publish(
                    type=valid.type,
                    company=shop.company,
                    shop=shop,
                    mode=valid.mode,
                    data=valid.data,
                    event_id=valid.id,
                    occurred_at=valid.occurred_at,
                    body_hash=valid.body_hash,
                    external=True,
                )
            return "accepted", event
        except IntegrityError:
            # Another process accepted the same id between the look and the write: look again.
            continue
    raise EventConflict(valid.id)


# --- Rules ----------------------------------------------------------------------------------------


def default_rules_create(*, shop: Shop, actor: Actor) -> list[NotificationRule]:
    """Give a new shop the documented rules (DESIGN 4b), addressed to its manager."""
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
    "email_texts",
    "email_fields",
)


def _check_rule(rule: NotificationRule) -> None:
    """Normalise and validate a rule whole; ValidationError by field."""
    errors: dict[str, list[str]] = {}
    unknown = [code for code in rule.triggers if code not in catalogue.TRIGGER_ORDER]
    if unknown:
        errors["triggers"] = [_("« %(code)s » n'est pas un événement déclencheur connu.") % {"code": unknown[0]}]
    elif not rule.triggers:
        errors["triggers"] = [_("Choisissez au moins un événement déclencheur.")]
    else:
        rule.triggers = catalogue.sort_triggers(rule.triggers)
    messages = [message for condition in rule.conditions if (message := condition_error(condition))]
    if messages:
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
    """The recipients of a rule, validated one by one, twins left out (DESIGN 4.2).

    Raises ValidationError naming each bad address, or when the type does not allow the list.
    """
    if rule_type == RuleType.BUYER_EMAIL:
        if recipients:
            raise ValidationError(
                _("Une règle « E-mail envoyé à l'acheteur » n'a pas de destinataire : elle écrit à l'acheteur.")
            )
        return []
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
        raise ValidationError(errors)
    if rule_type == RuleType.MERCHANT_EMAIL and not kept:
        raise ValidationError(_("Une règle « E-mail envoyé au marchand » a au moins un destinataire."))
    return addresses.unique(kept)


def condition_error(condition: Any) -> str | None:
    """Why a condition is refused, or None: unknown variable, operator, or impossible comparison."""
    if not isinstance(condition, dict) or set(condition) != {"variable", "operator", "value"}:
        return _("Une condition se compose d'une variable, d'un opérateur et d'une valeur.")
    variable = catalogue.VARIABLES.get(condition["variable"]) if isinstance(condition["variable"], str) else None
    if variable is None:
        return _("« %(name)s » n'est pas une variable connue.") % {"name": condition["variable"]}
    operator, value = condition["operator"], condition["value"]
    if not isinstance(operator, str) or operator not in catalogue.OPERATORS:
        return _("« %(name)s » n'est pas un opérateur connu.") % {"name": operator}
    if operator not in variable.operators:
        return _("L'opérateur « %(operator)s » ne s'applique pas à la variable « %(variable)s ».") % {
            "operator": operator,
            "variable": variable.code,
        }
    if operator in ("in", "not_in"):
        if not isinstance(value, list) or not value:
            return _("L'opérateur « %(operator)s » attend une liste de valeurs.") % {"operator": operator}
        items = value
    else:
        items = [value]
    for item in items:
        if not _value_fits(variable, item):
            return _("La valeur « %(value)s » ne convient pas à la variable « %(variable)s ».") % {
                "value": item,
                "variable": variable.code,
            }
    return None


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
def rule_create(*, shop: Shop, actor: Actor, reference: str, **fields: Any) -> NotificationRule:
    """Create a rule. Raises ValidationError by field."""
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    rule = NotificationRule(shop=shop, reference=reference, **{"recipients": [SHOP_MANAGER_SYMBOL], **fields})
    if rule.type == RuleType.BUYER_EMAIL and "recipients" not in fields:
        rule.recipients = []
    _check_rule(rule)
    _note_emptied(rule, actor)
    rule.save()
    changes = audit.creation({"reference": reference, **{name: getattr(rule, name) for name in RULE_FIELDS}})
    audit.record(actor=actor, action="rule.created", obj=rule, company=shop.company, changes=changes)
    return rule


@transaction.atomic
def rule_update(*, rule: NotificationRule, actor: Actor, version: int | None = None, **fields: Any) -> Changes:
    """Change a rule; returns what changed. An emptied recipient list keeps who decided it.

    Args:
        version: the version the writer saw; StaleVersion when the rule has moved on.
    """
    status.ensure_open(actor=actor, company=rule.shop.company, shop=rule.shop)
    _hold(rule, version)
    before = {name: getattr(rule, name) for name in RULE_FIELDS}
    for name, value in fields.items():
        setattr(rule, name, value)
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
    if not changes:
        return changes
    if "recipients" in changes:
        _note_emptied(rule, actor)
    rule.version += 1
    rule.save()
    audit.record(actor=actor, action="rule.updated", obj=rule, company=rule.shop.company, changes=changes)
    return changes


def _hold(rule: NotificationRule, version: int | None) -> None:
    """Lock a rule and bring the instance up to date. StaleVersion when it moved on or is in use no more."""
    rule.refresh_from_db(
        from_queryset=NotificationRule.objects.select_for_update(of=("self",)).select_related("shop__company")
    )
    if version is not None and rule.archived_at is not None:
        raise StaleVersion
    audit.check_seen(version, rule.version)


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
_COPIED_CONTENT = ("http_confirmed", "email_texts", "email_fields")


@transaction.atomic
def rule_duplicate(*, rule: NotificationRule, actor: Actor) -> NotificationRule:
    """A copy of a rule under a new reference, off, so that nobody is told twice before it is changed.

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
def rule_delete(*, rule: NotificationRule, actor: Actor, version: int | None = None) -> None:
    """Remove a custom rule from use; its deliveries keep naming it.

    Args:
        version: the version the writer saw; StaleVersion when the rule has moved on.

    Raises ValidationError for a default rule, which every shop keeps and can be switched off.
    """
    _hold(rule, version)
    if rule.is_default:
        raise ValidationError(_("Une règle par défaut ne se supprime pas : désactivez-la."))
    rule_archive(rule=rule, actor=actor)


@transaction.atomic
def rule_archive(*, rule: NotificationRule, actor: Actor) -> None:
    """Remove a rule from use; deliveries keep referring to it."""
    status.ensure_open(actor=actor, company=rule.shop.company, shop=rule.shop)
    rule.archived_at = timezone.now()
    rule.save(update_fields=["archived_at", "updated_at"])
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


# --- Resending and requeueing ---------------------------------------------------------------------


@transaction.atomic
def delivery_resend(*, delivery: Delivery, actor: Actor) -> Delivery:
    """Queue the frozen message of a delivery copy, to the same recipient, as a new row.

    Raises ValidationError when the delivery is still open or has no message, and for all but account
    and security mail when the company or the shop is not active.
    """
    if delivery.notification not in catalogue.SENT_IN_ANY_STATE:
        status.ensure_active(company=delivery.company, shop=delivery.shop)
    if not delivery.is_resendable:
        raise ValidationError(_("Cet envoi ne peut pas être renvoyé : il est encore en cours, ou n'a pas de contenu."))
    copy = Delivery.objects.get(pk=delivery.pk)
    copy.pk = uuid.uuid4()
    copy._state.adding = True
    copy.status, copy.error = Delivery.Status.QUEUED, ""
    copy.attempt_count = 0
    copy.created_at = timezone.now()
    copy.sent_at = copy.retry_at = copy.leased_until = copy.http_status = None
    copy.lease_owner = ""
    copy.resend_of = delivery
    # Whoever asks, this message goes out: it is nobody else's, and no part of a broadcast's count.
    copy.carried_by = copy.broadcast = None
    copy.dedupe_key = dedupe_key(delivery.dedupe_key, "resend", copy.pk)
    copy.save(force_insert=True)
    audit.record(
        actor=actor,
        action="delivery.resent",
        obj=delivery,
        company=delivery.company,
        changes={"delivery": [str(delivery.pk), str(copy.pk)]},
    )
    transaction.on_commit(doorbell.ring, robust=True)
    return copy


@transaction.atomic
def delivery_requeue(*, delivery: Delivery, actor: Actor) -> bool:
    """Give a dead delivery a fresh start under its own identity; False when it is not dead.

    False as well for all but account and security mail when the company or the shop is not active. One
    that another delivery carries starts that one again, and all that it carries.
    """
    in_any_state = delivery.notification in catalogue.SENT_IN_ANY_STATE or delivery.company is None
    if not in_any_state and not status.is_active(company=delivery.company, shop=delivery.shop):
        return False
    carrier = delivery.carried_by_id or delivery.pk
    changed = Delivery.objects.filter(Q(pk=carrier) | Q(carried_by=carrier), status=Delivery.Status.DEAD).update(
        status=Delivery.Status.QUEUED, retry_at=None, error="", attempt_count=0
    )
    if changed:
        audit.record(
            actor=actor,
            action="delivery.requeued",
            obj=delivery,
            company=delivery.company,
            changes={"status": ["dead", "queued"]},
        )
        transaction.on_commit(doorbell.ring, robust=True)
    return bool(changed)


@transaction.atomic
def run_cancel(*, deliveries: QuerySet[Delivery], run: uuid.UUID, actor: Actor, company: Company) -> int:
    """Stop what waits of a replay; returns how many calls that were. Also in a closed shop: nothing leaves by it."""
    status.ensure_open(actor=actor, company=company)
    stopped = deliveries.filter(run=run, status__in=Delivery.DUE).order_by().values_list("pk", flat=True)
    count = Delivery.objects.filter(pk__in=list(stopped), status__in=Delivery.DUE).update(
        status=Delivery.Status.CANCELLED, retry_at=None
    )
    if count:
        audit.record(
            actor=actor,
            action="calls.replay_stopped",
            obj=company,
            company=company,
            changes={"calls": [count, 0], "run": [str(run), None]},
        )
    return count


@transaction.atomic
def delivery_cancel(*, delivery: Delivery, actor: Actor) -> bool:
    """Stop a delivery that waits; False when it is being sent or final already, or part of a broadcast.

    Also in a closed shop: nothing leaves by it.
    """
    if delivery.company is not None:
        status.ensure_open(actor=actor, company=delivery.company)
    changed = Delivery.objects.filter(pk=delivery.pk, status__in=Delivery.DUE, broadcast=None).update(
        status=Delivery.Status.CANCELLED, retry_at=None
    )
    if changed:
        audit.record(
            actor=actor,
            action="delivery.cancelled",
            obj=delivery,
            company=delivery.company,
            changes={"status": [delivery.status, "cancelled"]},
        )
    return bool(changed)
