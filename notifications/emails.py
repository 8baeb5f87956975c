"""Mails: what each notification says, built once into text and HTML from the same content.

`compose` runs when the event is accepted, in the recipient's language; the result is frozen.
`build` wraps it for one recipient when it is sent: headers, the reason line, single-use links.
"""

import re
import textwrap
import zoneinfo
from dataclasses import replace
from email.header import Header
from email.utils import formataddr, parseaddr
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template import Context as TemplateContext
from django.template import Template
from django.template.loader import get_template
from django.utils import timezone, translation
from django.utils.html import escape
from django.utils.translation import gettext as _

from companies import links
from companies.models import SftpAccount, User

from . import addresses, markup, unsubscribing, wording
from .composers import COMPOSERS
from .composers.base import LINK_MARK, UNSUBSCRIBE_MARK, Content, Context, Paragraph, one_line
from .models import Delivery, Event, Message, NotificationRule

# Stands in a frozen message where the reason line goes; filled in at sending.
REASON_MARK = "%%REASON%%"
MASKED_LINK = "••••••"


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
    # A message of the platform to many companies has no company's zone to tell times in.
    zone = event.company.time_zone if event.company else settings.TIME_ZONE
    if zone not in zoneinfo.available_timezones():
        # Zones are renamed now and then; that must not hold up mail. The consistency report says so.
        zone = settings.TIME_ZONE
    with translation.override(language), timezone.override(zone):
        content = _inert(COMPOSERS[notification](Context(event, rule, account)))
        blocks = markup.parse(content.body, _plain)
        subject = one_line(content.subject)
        if event.mode == "TEST":
            subject = f"[TEST] {subject}"
        labels = {
            "tables": _("Voir ce que reçoit chaque adresse"),
            "colon": _(" : "),
            "on_behalf": _("Message envoyé par %(platform)s pour %(sender)s.")
            % {"platform": settings.PLATFORM_NAME, "sender": content.sender},
            "staff": _("Réservé à la boutique"),
            "unsubscribe": _("Se désabonner de la lettre d'information"),
            # Somebody who answers should know beforehand that nobody reads it.
            "no_answer": ""
            if content.reply_to or settings.SUPPORT_EMAIL
            else _("Ne répondez pas à ce message : les réponses ne sont pas lues."),
        }
        variables = {
            "content": content,
            "body_text": markup.to_text(blocks),
            "body_html": markup.to_html(blocks),
            "event": event,
            "language": language,
            "platform": settings.PLATFORM_NAME,
            "reason_mark": REASON_MARK,
            "tables_url": settings.BASE_URL + "/notifications/addresses/",
            "unsubscribe_mark": UNSUBSCRIBE_MARK if content.unsubscribe else "",
            "labels": labels,
        }
        return Message(
            event=event if event.pk else None,
            language=language,
            subject=subject[:300],
            text=_folded(_template("text").template.render(_context(variables, False))),  # type: ignore[attr-defined]
            html=_template("html").template.render(_context(variables, True)),  # type: ignore[attr-defined]
            reply_to=content.reply_to,
        )


# Columns of the text part: fits a terminal of 80 beside the bar of a quotation.
TEXT_COLUMNS = 76


def _folded(text: str) -> str:
    """The text part with lines that a terminal shows whole; addresses of pages stay in one piece."""
    lines: list[str] = []
    for line in text.splitlines():
        # "-- " introduces the foot; its blank is part of the mark.
        if len(line) <= TEXT_COLUMNS or line == "-- ":
            lines.append(line if line == "-- " else line.rstrip(" "))
            continue
        indent = "  " if line.startswith("- ") else ""
        lines += textwrap.wrap(
            line, TEXT_COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    return "\n".join(lines).strip("\n") + "\n"


def _context(variables: dict[str, Any], autoescape: bool) -> Any:
    return TemplateContext(variables, autoescape=autoescape)


@lru_cache(maxsize=2)
def _template(kind: str) -> Template:
    name = "notifications/mail/message.txt" if kind == "text" else "notifications/mail/message.html"
    return get_template(name)  # type: ignore[return-value]


def _inert(content: Content) -> Content:
    """The content with every text on its own line and no mark in it but the link of its action."""
    return replace(
        content,
        subject=_plain(content.subject),
        headline=_plain(content.headline),
        facts=[(_plain(label), _plain(value)) for label, value in content.facts],
        lead=[_lines(paragraph) for paragraph in content.lead],
        paragraphs=[_lines(paragraph) for paragraph in content.paragraphs],
        sender=_plain(content.sender),
    )


def _lines(paragraph: Paragraph) -> tuple[str, ...]:
    return tuple(map(_plain, (paragraph,) if isinstance(paragraph, str) else paragraph))


def _plain(text: str) -> str:
    """Text that nobody can use to add a line to a mail or to have a mark filled in.

    Unlike `one_line` it keeps the spaces that do not break, in amounts and before French colons.
    """
    text = " ".join(text.splitlines())
    if any(mark in text for mark in (REASON_MARK, LINK_MARK, UNSUBSCRIBE_MARK)):
        text = re.sub("%(?=%)", "% ", text)
    return text


# --- Wrapping for one recipient -------------------------------------------------------------------


def domain() -> str:
    """The domain of our Message-IDs."""
    return urlsplit(settings.BASE_URL).hostname or "localhost"


def message_id(delivery: Delivery) -> str:
    """Stable over every attempt of a delivery, so that a duplicate can be recognised.

    A delivery that another one carries has the other's: that is the mail which arrived.
    """
    return f"<{delivery.carried_by_id or delivery.pk}@{domain()}>"


def sender() -> str:
    """From: the configured address, with the platform's name where none is configured."""
    name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return formataddr((name or settings.PLATFORM_NAME, address), "utf-8")


def _list_headers(unsubscribe: str) -> dict[str, str]:
    """What makes a letter a letter for mailboxes: one-click unsubscription (RFC 8058), and bulk mail."""
    return {
        "List-Unsubscribe": f"<{unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Id": f"<newsletter.{domain()}>",
        "Precedence": "bulk",
    }


def build(delivery: Delivery, connection: Any = None) -> EmailMultiAlternatives:
    """The mail of one delivery: one recipient on the envelope, full To and Cc lists in the headers.

    The delivery comes with `message`, `event`, `shop` and `rule` loaded.
    """
    message = delivery.message
    assert message
    unsubscribe = unsubscribing.url(delivery) if UNSUBSCRIBE_MARK in message.text else ""
    text, html = filled(delivery, _link(delivery) if LINK_MARK in message.text else "", unsubscribe)
    to = [addresses.for_sending(address) for address in delivery.to_addresses]
    cc = [addresses.for_sending(address) for address in delivery.cc_addresses]
    reply_to = message.reply_to or settings.SUPPORT_EMAIL
    headers = {
        "Message-ID": message_id(delivery),
        "Auto-Submitted": "auto-generated",
        "X-BOM-Notification": delivery.notification,
        "X-BOM-As": delivery.as_field,
        "X-BOM-Shop": delivery.shop.site_id if delivery.shop else "",
        "X-BOM-Rule": delivery.rule.reference if delivery.rule else "",
        "X-BOM-Event": one_line(delivery.event.event_id),
        "X-BOM-Mode": delivery.mode,
        "X-BOM-Delivery": str(delivery.pk),
        "Content-Language": message.language,
        # Exchange does not know Auto-Submitted; this is how it is told to keep absence notes to itself.
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        **(_list_headers(unsubscribe) if unsubscribe else {}),
        **message.headers,
        **delivery.headers,
    }
    mail = EmailMultiAlternatives(
        subject=_encoded_subject(message.subject),
        body=text,
        from_email=sender(),
        to=to,
        cc=cc,
        reply_to=[addresses.for_sending(reply_to)] if reply_to else None,
        headers={name: value for name, value in headers.items() if value},
        connection=connection,
    )
    mail.attach_alternative(html, "text/html")
    if message.has_attachments:
        for file in message.attachments.all():
            mail.attach(file.name, bytes(file.content), file.content_type)
    return mail


def _encoded_subject(subject: str) -> str:
    """The subject as encoded words whose first leaves room for the header's name.

    The framework encodes without counting that name, so the line is folded right after
    "Subject:" and readers see a subject that starts with a space.
    """
    return subject if subject.isascii() else Header(subject, "utf-8", header_name="Subject").encode(linesep="")


def filled(delivery: Delivery, link: str, unsubscribe: str = MASKED_LINK) -> tuple[str, str]:
    """The text and HTML of a delivery with its reason line and links in their places.

    The link that unsubscribes is masked unless given: whoever may read the journal need not have that right.
    """
    message = delivery.message
    assert message
    with translation.override(message.language):
        reason = wording.mail_reason(delivery.resolution.get("reason", ""), delivery.resolution.get("params", {}))
    reason = " ".join(reason.splitlines())
    # The reason comes last: it names shops and rules, and is not searched for marks.
    text = message.text.replace(LINK_MARK, link).replace(UNSUBSCRIBE_MARK, unsubscribe)
    html = message.html.replace(LINK_MARK, escape(link)).replace(UNSUBSCRIBE_MARK, escape(unsubscribe))
    text = text.replace(REASON_MARK, _folded(reason).strip("\n"))
    html = html.replace(REASON_MARK, escape(reason))
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
