"""Mails of notification rules: the merchant's texts and fields, or the default ones."""

from django.utils.encoding import force_str
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from .. import templating, wording
from ..catalogue import SOURCES_OF_EVENT, RuleType
from ..default_texts import default_text
from ..models import NotificationRule
from .base import Content, Context, amount_text, composer, one_line, page_url, when_text


@composer("merchant_email")
def _merchant_email(context: Context) -> Content:
    event, rule = context.event, context.rule
    assert rule and event.shop
    content = _written(context, rule, RuleType.MERCHANT_EMAIL)
    if event.type == "production_key.regenerated":
        content.action = (_("Voir les clés de la boutique"), page_url(f"/settings/shops/{event.shop.site_id}/keys/"))
    elif event.type == "form.invalid":
        content.action = (
            _("Voir la configuration de la boutique"),
            page_url(f"/settings/shops/{event.shop.site_id}/configuration/"),
        )
    else:
        content.action = (
            _("Voir la règle de notification"),
            page_url(f"/settings/notification-rules/?shop={event.shop.site_id}&rule={rule.reference}"),
        )
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
    default = default_text(rule_type, context.event.type, language)
    source = source_of(context, rule)
    values = {field.code: field.read(source) for field in templating.inline_fields(rule_type)}
    causes = error_causes(values.get("error", "")) if context.event.type == "form.invalid" else ()
    body = templating.render_body(own.get("body") or default.body, values, causes)
    return Content(
        # A subject of nothing but missing values or unseen characters would be none.
        subject=one_line(templating.render_subject(own.get("subject") or default.subject, values)) or values["event"],
        headline=body.headline,
        lead=body.before,
        facts=_facts(rule, rule_type, source),
        paragraphs=body.after,
    )


def _facts(rule: NotificationRule, rule_type: str, source: templating.Source) -> list[tuple[str, str]]:
    """The fields to include that have a value; the received form unfolds into its own fields."""
    facts: list[tuple[str, str]] = []
    for field in templating.chosen_fields(rule_type, rule.email_fields):
        if field.code == "form":
            received = templating.form_fields(source.data)
            if received:
                facts.append((force_str(field.label), str(len(received))))
                facts += received
        elif value := field.read(source):
            facts.append((force_str(field.label), value))
    return facts


def source_of(context: Context, rule: NotificationRule) -> templating.Source:
    """What the fields of a rule's mail are read from, in the active language and time zone."""
    event, data = context.event, context.data
    shop = event.shop
    assert shop
    amount = data.get("amount")
    origin = data.get("source")
    return templating.Source(
        event=wording.trigger_label(event.type),
        mode=event.mode,
        date=when_text(event.occurred_at),
        amount=amount_text(amount, templating.value_text(data.get("currency"))) if isinstance(amount, int) else "",
        company=templating.value_text(event.company.name),
        shop_name=templating.value_text(shop.name),
        shop_id=shop.site_id,
        shop_url=templating.value_text(shop.url),
        shop_contact=_contact(context),
        rule=templating.value_text(rule.display_label),
        origin=force_str(SOURCES_OF_EVENT[origin]) if isinstance(origin, str) and origin in SOURCES_OF_EVENT else "",
        data=data,
    )


def _contact(context: Context) -> str:
    """The address a buyer may write to: the shop manager's, or what the shop inherits."""
    event = context.event
    assert event.shop
    return event.shop.manager_email or getattr(event.company.manager_contact, "email", "")


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
