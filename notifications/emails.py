"""Mails: what each notification says, built once into text and HTML from the same content.

`compose` runs when the event is accepted, in the recipient's language; the result is frozen.
`build` wraps it for one recipient when it is sent: headers, the reason line, single-use links.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from email.header import Header
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template import Context as TemplateContext
from django.template import Template
from django.template.loader import get_template
from django.utils import timezone, translation
from django.utils.formats import date_format, number_format
from django.utils.html import escape
from django.utils.translation import gettext as _

from companies import links
from companies.models import SftpAccount, User

from . import addresses, wording
from .models import Delivery, Event, Message, NotificationRule

# Markers inside a frozen message; filled in at sending, masked on screens.
REASON_MARK = "%%REASON%%"
LINK_MARK = "%%LINK%%"
MASKED_LINK = "••••••"
# Decimals of currencies that do not have two (ISO 4217).
_EXPONENTS = {
    "JPY": 0,
    "KRW": 0,
    "XPF": 0,
    "XOF": 0,
    "XAF": 0,
    "CLP": 0,
    "VND": 0,
    "ISK": 0,
    "TND": 3,
    "KWD": 3,
    "BHD": 3,
}


@dataclass
class Content:
    """A mail before rendering: what happened, the facts, what to do.

    Attributes:
        subject: one line, without the TEST mark.
        headline: first line of the mail.
        facts: (label, value) pairs, shown as a two-column list.
        paragraphs: what to know or do.
        action: (label, absolute URL) of the one button, or None.
    """

    subject: str
    headline: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    paragraphs: list[str] = field(default_factory=list)
    action: tuple[str, str] | None = None
    reply_to: str = ""


@dataclass(frozen=True)
class Context:
    """What a composer may read."""

    event: Event
    rule: NotificationRule | None = None
    account: User | SftpAccount | None = None

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.event.data
        return data

    @property
    def shop_name(self) -> str:
        return self.event.shop.name if self.event.shop else ""


Composer = Callable[[Context], Content]
_COMPOSERS: dict[str, Composer] = {}


def composer(code: str) -> Callable[[Composer], Composer]:
    """Register the function that writes the mails of one catalogue row."""

    def register(function: Composer) -> Composer:
        _COMPOSERS[code] = function
        return function

    return register


def compose(
    event: Event,
    notification: str,
    language: str,
    *,
    rule: NotificationRule | None = None,
    account: User | SftpAccount | None = None,
) -> Message:
    """Write the frozen message (not saved) of one notification of one event.

    The active language and the company's time zone decide the wording of dates and amounts.
    """
    with translation.override(language), timezone.override(event.company.time_zone):
        content = _inert(_COMPOSERS[notification](Context(event, rule, account)))
        subject = _one_line(content.subject)
        if event.mode == "TEST":
            subject = f"[TEST] {subject}"
        variables = {
            "content": content,
            "event": event,
            "language": language,
            "platform": settings.PLATFORM_NAME,
            "reason_mark": REASON_MARK,
            "tables_url": settings.BASE_URL + "/notifications/addresses/",
            "labels": {"tables": _("Voir ce que reçoit chaque adresse"), "colon": _(" : ")},
        }
        return Message(
            event=event,
            language=language,
            subject=subject[:300],
            text=_template("text").template.render(_context(variables, False)),  # type: ignore[attr-defined]
            html=_template("html").template.render(_context(variables, True)),  # type: ignore[attr-defined]
            reply_to=content.reply_to,
        )


def _context(variables: dict[str, Any], autoescape: bool) -> Any:
    return TemplateContext(variables, autoescape=autoescape)


@lru_cache(maxsize=2)
def _template(kind: str) -> Template:
    name = "notifications/mail/message.txt" if kind == "text" else "notifications/mail/message.html"
    return get_template(name)  # type: ignore[return-value]


def _one_line(text: str) -> str:
    """A subject without line breaks or control characters: nothing typed by anybody adds a header."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _inert(content: Content) -> Content:
    """The content with every text on its own line and no mark in it but the link of its action."""
    return replace(
        content,
        subject=_plain(content.subject),
        headline=_plain(content.headline),
        facts=[(label, _plain(value)) for label, value in content.facts],
        paragraphs=[_plain(paragraph) for paragraph in content.paragraphs],
    )


def _plain(text: str) -> str:
    """Text that nobody can use to add a line to a mail or to have a mark filled in.

    Unlike `_one_line` it keeps the spaces that do not break, in amounts and before French colons.
    """
    text = " ".join(text.splitlines())
    if REASON_MARK in text or LINK_MARK in text:
        text = re.sub("%(?=%)", "% ", text)
    return text


# --- Composers, one per catalogue row -------------------------------------------------------------


@composer("shop_created")
def _shop_created(context: Context) -> Content:
    event = context.event
    shop = event.shop
    assert shop
    return Content(
        subject=_("Votre boutique %(shop)s est créée") % {"shop": shop.name},
        headline=_("La boutique %(shop)s vient d'être créée.") % {"shop": shop.name},
        facts=[
            (_("Société"), event.company.name),
            (_("Boutique"), shop.name),
            (_("Identifiant boutique"), shop.site_id),
            *([(_("URL"), shop.url)] if shop.url else []),
            (_("Date"), _when(event.occurred_at)),
        ],
        paragraphs=[
            _("La clé de test est disponible dès maintenant ; la clé de production le sera après la phase de test."),
            _("Vérifiez l'e-mail gestionnaire de la boutique et l'URL de notification à la fin du paiement."),
        ],
        action=(_("Voir la configuration de la boutique"), _page(f"/settings/shops/{shop.site_id}/configuration/")),
    )


@composer("production_key_generated")
def _production_key_generated(context: Context) -> Content:
    shop = context.event.shop
    assert shop
    again = context.event.type == "production_key.regenerated"
    values = {"shop": shop.name}
    return Content(
        subject=(_("Clé de production régénérée : %(shop)s") if again else _("Clé de production générée : %(shop)s"))
        % values,
        headline=(
            _("La clé de production de la boutique %(shop)s vient d'être régénérée.")
            if again
            else _("La clé de production de la boutique %(shop)s vient d'être générée.")
        )
        % values,
        facts=[*_shop_facts(context.event), (_("Date"), _when(context.event.occurred_at))],
        paragraphs=[
            _("La clé ne figure pas dans ce message. Reportez-la dans la configuration de votre site marchand."),
            _("Si vous n'êtes pas à l'origine de cette opération, contactez l'assistance sans attendre."),
        ],
        action=(_("Voir la configuration de la boutique"), _page(f"/settings/shops/{shop.site_id}/configuration/")),
    )


@composer("three_d_secure_activated")
def _three_d_secure_activated(context: Context) -> Content:
    return Content(
        subject=_("3D Secure activé : %(shop)s") % {"shop": context.shop_name},
        headline=_("Le 3D Secure est activé sur un contrat de la boutique %(shop)s.") % {"shop": context.shop_name},
        facts=[
            *_shop_facts(context.event),
            (_("Contrat"), str(context.data.get("contract", ""))),
            (_("Réseau"), str(context.data.get("network", ""))),
            (_("Date"), _when(context.event.occurred_at)),
        ],
        paragraphs=[_("Seule votre banque ou l'assistance peut désactiver le 3D Secure d'un contrat.")],
    )


@composer("merchant_email")
def _merchant_email(context: Context) -> Content:
    event, rule = context.event, context.rule
    assert rule and event.shop
    label = wording.trigger_label(event.type)
    reference = context.data.get("transaction_id") or context.data.get("order_id") or ""
    about = f"{event.shop.name} - {reference}" if reference else event.shop.name
    return Content(
        subject=_("%(event)s : %(about)s") % {"event": label, "about": about},
        headline=_("%(event)s, boutique %(shop)s.") % {"event": label, "shop": event.shop.name},
        facts=[*_shop_facts(event), *_payment_facts(event), (_("Règle de notification"), rule.display_label)],
        paragraphs=[],
        action=(
            _("Voir la règle de notification"),
            _page(f"/settings/notification-rules/?shop={event.shop.site_id}&rule={rule.reference}"),
        ),
    )


@composer("buyer_email")
def _buyer_email(context: Context) -> Content:
    event = context.event
    assert event.shop
    label = wording.trigger_label(event.type)
    contact = event.shop.manager_email or getattr(event.company.manager_contact, "email", "")
    return Content(
        subject=_("%(event)s : %(about)s") % {"event": label, "about": event.shop.name},
        headline=_("%(event)s, boutique %(shop)s.") % {"event": label, "shop": event.shop.name},
        facts=_payment_facts(event),
        paragraphs=[
            _("Pour toute question sur cet achat, écrivez à la boutique : %(contact)s.") % {"contact": contact},
            *([_("Site de la boutique : %(url)s") % {"url": event.shop.url}] if event.shop.url else []),
        ],
        reply_to=contact,
    )


@composer("user_account")
def _user_account(context: Context) -> Content:
    user, data = context.account, context.data
    assert isinstance(user, User)
    facts = [(_("Société"), context.event.company.name), (_("Identifiant"), user.login)]
    if context.event.type == "user_account.created":
        paragraphs = []
        action = (_("Se connecter"), _page("/"))
        if data.get("link"):
            paragraphs = [
                _(
                    "Choisissez votre mot de passe en suivant le lien ci-dessous. Il sert une seule fois, pendant 48 heures."
                )
            ]
            action = (_("Choisir mon mot de passe"), LINK_MARK)
        return Content(
            subject=_("Identifiants de connexion - %(company)s") % {"company": context.event.company.name},
            headline=_("Un compte utilisateur vient d'être créé pour vous dans le Back Office Marchand."),
            facts=facts,
            paragraphs=[*paragraphs, _("Ce compte est personnel : ne le partagez pas.")],
            action=action,
        )
    return Content(
        subject=_("Votre compte utilisateur %(login)s a été modifié") % {"login": user.login},
        headline=_("Votre compte utilisateur du Back Office Marchand a été modifié."),
        facts=[*facts, (_("Modifié"), _changed(data)), (_("Date"), _when(context.event.occurred_at))],
        paragraphs=[_("Si cette modification vous surprend, prévenez l'administrateur de votre société.")],
        action=(_("Choisir mon mot de passe"), LINK_MARK)
        if data.get("link")
        else (_("Voir mon compte"), _page("/account/")),
    )


@composer("sftp_account")
def _sftp_account(context: Context) -> Content:
    account, data = context.account, context.data
    assert isinstance(account, SftpAccount)
    facts = [(_("Société"), context.event.company.name), (_("Identifiant"), account.login)]
    link = _("Le mot de passe s'affiche une seule fois, par le lien ci-dessous, pendant 48 heures.")
    reveal = (_("Afficher le mot de passe"), LINK_MARK) if data.get("link") else None
    if context.event.type == "sftp_account.created":
        return Content(
            subject=_("Compte SFTP %(login)s créé") % {"login": account.login},
            headline=_("Un compte SFTP vient d'être créé."),
            facts=facts,
            paragraphs=[link] if reveal else [],
            action=reveal,
        )
    return Content(
        subject=_("Compte SFTP %(login)s modifié") % {"login": account.login},
        headline=_("Un compte SFTP a été modifié."),
        facts=[*facts, (_("Modifié"), _changed(data)), (_("Date"), _when(context.event.occurred_at))],
        paragraphs=[link] if reveal else [],
        action=reveal,
    )


@composer("account_security")
def _account_security(context: Context) -> Content:
    account = context.account
    assert account
    facts = [(_("Identifiant"), account.login), (_("Date"), _when(context.event.occurred_at))]
    surprise = _("Si vous n'êtes pas à l'origine de cette demande, prévenez l'administrateur de votre société.")
    if context.event.type == "account.address_changed":
        new = str(context.data.get("new_address", ""))
        return Content(
            subject=_("L'adresse e-mail du compte %(login)s a changé") % {"login": account.login},
            headline=_("L'adresse e-mail de ce compte a changé ; cette adresse ne recevra plus ses messages."),
            facts=[*facts, (_("Nouvelle adresse"), new)],
            paragraphs=[surprise],
        )
    if context.event.type == "account.password_changed":
        return Content(
            subject=_("Le mot de passe du compte %(login)s a changé") % {"login": account.login},
            headline=_("Le mot de passe de ce compte vient d'être changé."),
            facts=facts,
            paragraphs=[surprise],
        )
    return Content(
        subject=_("Réinitialisation de votre mot de passe"),
        headline=_("Une réinitialisation du mot de passe de ce compte a été demandée."),
        facts=facts,
        paragraphs=[_("Le lien ci-dessous sert une seule fois, pendant 48 heures."), surprise],
        action=(_("Choisir mon mot de passe"), LINK_MARK),
    )


@composer("address_check")
def _address_check(context: Context) -> Content:
    return Content(
        subject=_("Message de test"),
        headline=_("Ceci est un message de test : cette adresse reçoit bien nos e-mails."),
        facts=[(_("Société"), context.event.company.name), (_("Date"), _when(context.event.occurred_at))],
    )


# --- Pieces ---------------------------------------------------------------------------------------


def _shop_facts(event: Event) -> list[tuple[str, str]]:
    shop = event.shop
    assert shop
    return [
        (_("Société"), event.company.name),
        (_("Boutique"), f"{shop.name} ({shop.site_id})"),
        (_("Mode"), event.mode),
    ]


def _payment_facts(event: Event) -> list[tuple[str, str]]:
    """The facts of a payment event: those it carries, in the order people look for them."""
    data = event.data
    facts = [(_("Date"), _when(event.occurred_at))]
    if isinstance(data.get("amount"), int):
        facts.append((_("Montant"), amount_text(data["amount"], str(data.get("currency") or ""))))
    for key, label in (
        ("transaction_id", _("Transaction")),
        ("order_id", _("Commande")),
        ("network", _("Réseau")),
        ("contract", _("Contrat")),
        ("buyer_email", _("E-mail de l'acheteur")),
        ("reason", _("Motif")),
        ("error", _("Erreur")),
    ):
        if data.get(key):
            facts.append((label, _one_line(str(data[key]))[:300]))
    return facts


def amount_text(amount: int, currency: str) -> str:
    """An amount of the smallest unit in local form, e.g. 1990 EUR → « 19,90 EUR »."""
    exponent = _EXPONENTS.get(currency, 2)
    value = Decimal(amount).scaleb(-exponent)
    text = number_format(value, decimal_pos=exponent, use_l10n=True, force_grouping=True)
    return f"{text} {currency}".strip()


def _when(moment: datetime) -> str:
    local = timezone.localtime(moment)
    return f"{date_format(local, 'DATETIME_FORMAT')} ({timezone.get_current_timezone_name()})"


def _page(path: str) -> str:
    return settings.BASE_URL + path


def _changed(data: dict[str, Any]) -> str:
    names = {
        "login": _("identifiant"),
        "first_name": _("prénom"),
        "last_name": _("nom"),
        "title": _("civilité"),
        "email": _("adresse e-mail"),
        "is_active": _("état"),
        "role": _("rôle"),
        "shops": _("boutiques"),
        "password": _("mot de passe"),
    }
    return ", ".join(names.get(name, name) for name in data.get("changed", []))


# --- Wrapping for one recipient -------------------------------------------------------------------


def domain() -> str:
    """The domain of our Message-IDs."""
    return urlsplit(settings.BASE_URL).hostname or "localhost"


def message_id(delivery: Delivery) -> str:
    """Stable over every attempt of a delivery, so that a duplicate can be recognised."""
    return f"<{delivery.pk}@{domain()}>"


def build(delivery: Delivery, connection: Any = None) -> EmailMultiAlternatives:
    """The mail of one delivery: one recipient on the envelope, full To and Cc lists in the headers.

    The delivery comes with `message`, `event`, `shop` and `rule` loaded.
    """
    message = delivery.message
    assert message
    text, html = filled(delivery, _link(delivery) if LINK_MARK in message.text else "")
    to = [addresses.for_sending(address) for address in delivery.to_addresses]
    cc = [addresses.for_sending(address) for address in delivery.cc_addresses]
    headers = {
        "Message-ID": message_id(delivery),
        "Auto-Submitted": "auto-generated",
        "X-BOM-Notification": delivery.notification,
        "X-BOM-As": delivery.as_field,
        "X-BOM-Shop": delivery.shop.site_id if delivery.shop else "",
        "X-BOM-Rule": delivery.rule.reference if delivery.rule else "",
        "X-BOM-Event": _one_line(delivery.event.event_id),
        "X-BOM-Mode": delivery.mode,
        "X-BOM-Delivery": str(delivery.pk),
        "Content-Language": message.language,
        **message.headers,
    }
    mail = EmailMultiAlternatives(
        subject=_encoded_subject(message.subject),
        body=text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=to,
        cc=cc,
        reply_to=[addresses.for_sending(message.reply_to)] if message.reply_to else None,
        headers={name: value for name, value in headers.items() if value},
        connection=connection,
    )
    mail.attach_alternative(html, "text/html")
    return mail


def _encoded_subject(subject: str) -> str:
    """The subject as encoded words whose first leaves room for the header's name.

    The framework encodes without counting that name, so the line is folded right after
    "Subject:" and readers see a subject that starts with a space.
    """
    return subject if subject.isascii() else Header(subject, "utf-8", header_name="Subject").encode(linesep="")


def filled(delivery: Delivery, link: str) -> tuple[str, str]:
    """The text and HTML of a delivery with its reason line and `link` in their places."""
    message = delivery.message
    assert message
    with translation.override(message.language):
        reason = wording.mail_reason(delivery.resolution.get("reason", ""), delivery.resolution.get("params", {}))
    reason = " ".join(reason.splitlines())
    # The reason comes last: it names shops and rules, and is not searched for marks.
    text = message.text.replace(LINK_MARK, link).replace(REASON_MARK, reason)
    html = message.html.replace(LINK_MARK, escape(link)).replace(REASON_MARK, escape(reason))
    return text, html


def _link(delivery: Delivery) -> str:
    """A fresh single-use link for the account a delivery is about.

    Empty when the account is gone, or has another address by now: a late or repeated mail must not
    open it to whoever reads the former mailbox.
    """
    if delivery.notification == "sftp_account":
        account = SftpAccount.objects.filter(company=delivery.company, login=delivery.account).first()
        return links.make_sftp_link(account) if account and _still_reached(account, delivery) else ""
    user = User.objects.filter(login=delivery.account).first()
    return links.make_password_link(user) if user and _still_reached(user, delivery) else ""


def _still_reached(account: User | SftpAccount, delivery: Delivery) -> bool:
    return addresses.normalise(account.email) == delivery.normalised_address
