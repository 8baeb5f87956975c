"""Mails of notification rules: the merchant's texts and fields, or the default ones."""

from collections.abc import Collection
from functools import lru_cache

from django.utils.encoding import force_str
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from backoffice.text import addresses
from notifications.core import templating, wording
from notifications.core.catalogue import SOURCES_OF_EVENT, RuleType
from notifications.mail.composers.base import (
    Content,
    Context,
    amount_text,
    composer,
    one_line,
    page_url,
    support_link,
    when_text,
)
from notifications.mail.composers.digests import digest
from notifications.mail.composers.silences import complete
from notifications.mail.default_texts import default_text
from notifications.models import NotificationRule


@composer("merchant_email")
def _merchant_email(context: Context) -> Content:
    event, rule = context.event, context.rule
    assert rule and event.shop
    if event.type == "digest.due":
        return digest(context)
    content = _written(context, rule, RuleType.MERCHANT_EMAIL)
    if event.type == "production_key.regenerated":
        content.action = (_("Voir les clés de la boutique"), page_url("shop_keys", event.shop.site_id))
        content.paragraphs = [*content.paragraphs, support_link()]
    elif event.type == "payment.silence":
        language = (get_language() or "fr")[:2]
        content = complete(content, context, has_own_text=bool(rule.email_texts.get(language)))
        content.action = (
            _("Voir les paiements de la boutique dans le journal"),
            page_url("journal", shop=event.shop.site_id),
        )
    elif event.type == "form.invalid":
        content.action = (
            _("Voir la configuration de la boutique"),
            page_url("shop_configuration", event.shop.site_id),
        )
    else:
        # What was sent because of it, and whether it arrived: the rule is one link further.
        about_money = event.type.startswith(("payment.", "transaction."))
        label = _("Voir les envois de ce paiement") if about_money else _("Voir les envois de cet événement")
        content.action = (label, page_url("journal", event=event.event_id))
    return content


@composer("buyer_email")
def _buyer_email(context: Context) -> Content:
    event, rule = context.event, context.rule
    assert rule and event.shop
    content = _written(context, rule, RuleType.BUYER_EMAIL)
    # The buyer knows the shop, not the platform: the mail is the shop's, and so is its answer.
    content.sender = event.shop.name
    content.reply_to = _contact(context)
    return content


def _written(context: Context, rule: NotificationRule, rule_type: str) -> Content:
    """Subject, text and fields of a rule's mail in the active language."""
    language = (get_language() or "fr")[:2]
    own = rule.email_texts.get(language, {})
    default = default_text(rule_type, context.event.type, language, context.event.mode)
    source = source_of(context, rule)
    values = templating.Values(rule_type, source)
    causes = error_causes(values.get("error", "")) if context.event.type == "form.invalid" else ()
    text = own.get("body") or default.body
    body = templating.render_body(text, values, causes)
    # The causes begin with the error: it is not told again among the fields.
    told = {"error"} if causes and templating.CAUSES_BLOCK in templating.codes_in(text) else set()
    return Content(
        # A subject of nothing but missing values or unseen characters would be none.
        subject=one_line(templating.render_subject(own.get("subject") or default.subject, values)) or values["event"],
        headline=body.headline,
        lead=body.before,
        facts=_facts(rule, rule_type, source, values, told),
        paragraphs=body.after,
    )


def _facts(
    rule: NotificationRule,
    rule_type: str,
    source: templating.MailSource,
    values: templating.Values,
    told: Collection[str],
) -> list[tuple[str, str]]:
    """The fields to include that have a value; the received form unfolds into its own fields.

    Args:
        told: fields that the text tells in full, left out here.
    """
    facts: list[tuple[str, str]] = []
    chosen = None if rule.email_fields is None else tuple(rule.email_fields)
    for field, label in _labelled(rule_type, chosen, get_language()):
        if field.code in told:
            continue
        if field.code == "form":
            received = templating.form_fields(source.data)
            if received:
                facts.append((label, str(len(received))))
                facts += received
        elif value := values.of(field):
            facts.append((label, value))
    return facts


@lru_cache(maxsize=256)
def _labelled(
    rule_type: str, codes: tuple[str, ...] | None, language: str | None
) -> tuple[tuple[templating.Field, str], ...]:
    """The fields of a choice with their labels in a language, which must be the active one: the same for many mails."""
    fields = templating.chosen_fields(rule_type, None if codes is None else list(codes))
    return tuple((field, force_str(field.label)) for field in fields)


def source_of(context: Context, rule: NotificationRule) -> templating.MailSource:
    """What the fields of a rule's mail are read from, in the active language and time zone."""
    event, data = context.event, context.data
    shop = event.shop
    assert shop
    amount = data.get("amount")
    origin = data.get("source")
    return templating.MailSource(
        event=wording.trigger_label(event.type),
        mode=event.mode,
        date=when_text(event.occurred_at),
        amount=amount_text(amount, templating.value_text(data.get("currency"))) if isinstance(amount, int) else "",
        company=templating.value_text(event.company.name),
        shop_name=templating.value_text(shop.name),
        shop_id=shop.site_id,
        shop_url=templating.value_text(shop.url),
        shop_contact=addresses.for_display(_contact(context)),
        rule=templating.value_text(rule.display_label),
        origin=force_str(SOURCES_OF_EVENT[origin]) if isinstance(origin, str) and origin in SOURCES_OF_EVENT else "",
        data=data,
    )


def _contact(context: Context) -> str:
    """The address a buyer may write to: the shop manager's, or what the shop inherits."""
    event = context.event
    assert event.shop
    return event.shop.manager_email or str(getattr(event.company.manager_contact, "email", ""))


def error_causes(error: str) -> tuple[str, ...]:
    """The lines about a form's error: its origin, then what usually causes it.

    The error is free text of the platform; what it is about is found by the words it holds.
    """
    said = error.lower()
    causes: list[str] = []
    if "signature" in said or "hash" in said:
        causes += [
            _("la clé employée est celle de l'autre mode (TEST ou PRODUCTION), ou une ancienne clé ;"),
            _("l'algorithme de signature de la boutique n'est pas celui de votre site ;"),
            _("un champ change après le calcul de la signature, ou n'est pas encodé en UTF-8."),
        ]
    elif "site_id" in said or "shop" in said or "boutique" in said:
        causes += [_("l'identifiant boutique (vads_site_id) n'est pas celui de cette boutique.")]
    elif "mode" in said:
        causes += [
            _("vads_ctx_mode n'est ni TEST ni PRODUCTION, ou la boutique n'est pas encore en production."),
        ]
    elif "trans_id" in said or "duplicate" in said:
        causes += [_("vads_trans_id a déjà servi aujourd'hui, ou ne compte pas six caractères.")]
    elif "date" in said or "expired" in said:
        causes += [_("vads_trans_date n'est pas en heure UTC, ou l'horloge de votre serveur n'est pas à l'heure.")]
    elif "amount" in said or "currency" in said:
        causes += [_("le montant n'est pas un entier en plus petite unité, ou le contrat n'accepte pas la devise.")]
    else:
        causes += [
            _("un champ obligatoire manque, ou sa valeur n'a pas le format attendu ;"),
            _("la signature ne correspond pas : clé de l'autre mode, ancienne clé, autre algorithme."),
        ]
    origin = [_("Erreur : %(error)s") % {"error": error}] if error else []
    return (*origin, _("Causes possibles :"), *(f"- {cause}" for cause in causes))
