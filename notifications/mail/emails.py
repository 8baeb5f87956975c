"""Mails: what each notification says, built once into text and HTML from the same content.

`compose` runs when the event is accepted, in the recipient's language; the result is frozen.
`build` wraps it for one recipient when it is sent: headers, the reason line, single-use links.
"""

import base64
import hashlib
import re
import textwrap
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone, translation
from django.utils.html import format_html
from django.utils.translation import gettext as _

from backoffice.base import configuration
from backoffice.base.inserting import made
from backoffice.text import addresses, web_links, zones
from companies import links
from companies.models import SftpAccount, User
from notifications.core import wording
from notifications.mail import layout, markup, subjects, unsubscribing, verify_links, why_links
from notifications.mail.composers import COMPOSERS
from notifications.mail.composers.base import (
    LINK_MARK,
    UNSUBSCRIBE_MARK,
    Content,
    Context,
    Link,
    Paragraph,
    one_line,
    page_url,
    trial_note,
)
from notifications.mail.layout import Letter
from notifications.models import Delivery, Event, Message, NotificationRule

# Stands in a frozen message where the reason line goes; filled in at sending.
REASON_MARK = "%%REASON%%"
MASKED_LINK = "••••••"
# Mails to buyers: they name the shop in From, and hold no address of a page that only merchants can open.
FROM_THE_SHOP = frozenset({"buyer_email", "payment_order"})


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
    # One that is unknown must not hold up mail; the consistency report says so.
    zone = zones.known(event.company.time_zone, settings.TIME_ZONE) if event.company else settings.TIME_ZONE
    with translation.override(language), timezone.override(zone):
        context = Context(event, rule, account)
        content = _inert(COMPOSERS[notification](context))
        blocks = markup.parse(content.body, _plain)
        subject = one_line(content.subject)
        if event.mode == "TEST":
            subject = f"[TEST] {subject}"
        letter = Letter(
            content=content,
            language=language,
            is_test=event.mode == "TEST",
            body_text=markup.to_text(blocks),
            body_html=markup.to_html(blocks),
            platform=settings.PLATFORM_NAME,
            trial_note=trial_note(context),
            # Staff belong to no company.
            tables_url="" if notification == "staff_alert" else page_url("addresses"),
            on_behalf=_("Message envoyé par %(platform)s pour %(sender)s.")
            % {"platform": settings.PLATFORM_NAME, "sender": content.sender}
            if content.sender
            else "",
            reason_mark=REASON_MARK,
            unsubscribe_mark=UNSUBSCRIBE_MARK if content.unsubscribe else "",
            is_answered=bool(content.reply_to or settings.SUPPORT_EMAIL),
        )
        return made(
            Message,
            event=event if event.pk else None,
            language=language,
            subject=subject[:300],
            text=_folded(layout.to_text(letter)),
            html=layout.to_html(letter),
            reply_to=content.reply_to,
            headers=_of_thread(content.thread),
        )


def _of_thread(thread: str) -> dict[str, str]:
    """The headers that put a mail into its conversation, whose root is a name and no mail."""
    if not thread:
        return {}
    try:
        root = f"<{re.sub(r'[^A-Za-z0-9.-]', '-', thread)[:120]}@{domain()}>"
    except configuration.SettingError:
        # Nothing goes out until it is mended, and then without conversations.
        return {}
    return {"References": root, "In-Reply-To": root}


# Columns of the text part: fits a terminal of 80 beside the bar of a quotation.
TEXT_COLUMNS = 76


def _folded(text: str) -> str:
    """The text part with lines short enough for a terminal; URLs are not broken."""
    lines: list[str] = []
    for line in text.splitlines():
        # "-- " introduces the foot; its blank is part of the mark.
        if len(line) <= TEXT_COLUMNS or line == "-- ":
            lines.append(line if line == "-- " else line.rstrip(" "))
            continue
        lines += _wrapped(line)
    return "\n".join(lines).strip("\n") + "\n"


@lru_cache(maxsize=512)
def _wrapped(line: str) -> tuple[str, ...]:
    """A long line in several; most are those of every other mail."""
    indent = "  " if line.startswith("- ") else ""
    wrapped = textwrap.wrap(
        line, TEXT_COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return tuple(wrapped)


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
        preview=_plain(content.preview) if content.preview else "",
    )


def _lines(paragraph: Paragraph) -> tuple[str, ...] | Link:
    if isinstance(paragraph, Link):
        return replace(paragraph, label=_plain(paragraph.label), url=_plain(paragraph.url))
    return tuple(map(_plain, (paragraph,) if isinstance(paragraph, str) else paragraph))


def _plain(text: str) -> str:
    """Neutralise line breaks, marks and look-alike hosts in a text for a mail.

    Unlike `one_line` it keeps the spaces that do not break, in amounts and before French colons.
    """
    if text.isascii() and text.isprintable() and "%%" not in text:
        return text
    text = web_links.in_text(" ".join(text.splitlines()))
    # Most texts have no two signs of percent, and need no closer look.
    if "%%" in text and any(mark in text for mark in (REASON_MARK, LINK_MARK, UNSUBSCRIBE_MARK)):
        text = re.sub("%(?=%)", "% ", text)
    return text


# --- Wrapping for one recipient -------------------------------------------------------------------


def domain() -> str:
    """The domain of our Message-IDs, in ASCII; an IP address stands in brackets where RFC 5322 wants it so."""
    return _host_of(_base_url())


@lru_cache(maxsize=4)
def _host_of(url: str) -> str:
    host = urlsplit(url).hostname or "localhost"
    return f"[{host}]" if ":" in host else host


def _base_url() -> str:
    return configuration.base_url("BASE_URL", settings.BASE_URL)


def message_id(delivery: Delivery) -> str:
    """Stable over every attempt of a delivery, so that a duplicate can be recognised.

    A delivery that another one carries has the other's: that is the mail which arrived.
    """
    return f"<{delivery.carried_by_id or delivery.id}@{domain()}>"


def envelope_sender() -> str:
    """The bare address mail is sent from. SettingError where `DEFAULT_FROM_EMAIL` cannot be used."""
    return configuration.mailbox("DEFAULT_FROM_EMAIL", settings.DEFAULT_FROM_EMAIL)[1]


# What a shop's name may take of From: mailboxes show about so much.
_SHOP_IN_FROM = 60


def sender(shop: str = "", own: str = "") -> str:
    """From, in ASCII: the configured address, with the platform's name where none is configured.

    Args:
        shop: the shop whose mail it is.
        own: the address that a company with a mail server of its own sends from, in place of ours.

    A mail that is a shop's names the shop first (« Lumière Lyon via … »); its address stays ours, as SPF, DKIM and
    DMARC want it. SettingError where a setting cannot be used.
    """
    via = _("%(shop)s via %(platform)s") if shop else ""
    return _sender(settings.DEFAULT_FROM_EMAIL, settings.PLATFORM_NAME, shop, via, own)


@lru_cache(maxsize=256)
def _sender(configured: str, platform: str, shop: str, via: str, own: str) -> str:
    shown, address = configuration.mailbox("DEFAULT_FROM_EMAIL", configured)
    shown = shown or configuration.name("PLATFORM_NAME", platform)
    shop = one_line(shop)[:_SHOP_IN_FROM].strip()
    if shop:
        shown = via % {"shop": shop, "platform": shown}
    return configuration.header_mailbox(shown, own or address)


def check_own_settings() -> None:
    """Raise SettingError, naming the setting, where mail cannot be built because of how we are set up."""
    sender()
    _base_url()
    if settings.SUPPORT_EMAIL:
        configuration.address("SUPPORT_EMAIL", settings.SUPPORT_EMAIL)


def _list_headers(unsubscribe: str) -> dict[str, str]:
    """What makes a letter a letter for mailboxes: one-click unsubscription (RFC 8058), and bulk mail."""
    path = unsubscribe.removeprefix(settings.BASE_URL)
    return {
        "List-Unsubscribe": f"<{_base_url()}{path}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        # A bracketed address is no part of a list's name (RFC 2919).
        "List-Id": f"<newsletter.{'localhost' if domain().startswith('[') else domain()}>",
        "Precedence": "bulk",
    }


def sender_of(delivery: Delivery) -> str:
    """The From of the mail of one delivery."""
    # The buyer knows the shop, not the platform.
    own = getattr(delivery, "sent_from", "")
    if delivery.shop is None or delivery.notification not in FROM_THE_SHOP:
        return sender(own=own)
    with translation.override(delivery.message.language if delivery.message else None):
        return sender(delivery.shop.name, own)


@dataclass(frozen=True)
class Foot:
    """What stands at the mark of the reason, in both forms: why this reader got the mail, and where to read more."""

    text: str
    html: str


@dataclass(frozen=True)
class Filled:
    """A mail for one recipient, before it is put into bytes: all its headers and both of its forms.

    Attributes:
        text, html: with the mark of the reason still in them; links are filled in.
        foot: what stands where the mark is.
    """

    text: str
    html: str
    foot: Foot
    subject: str
    sender: str
    to: list[str]
    cc: list[str]
    reply_to: str
    headers: dict[str, str]

    def as_read(self) -> tuple[str, str]:
        """The text and the HTML with the reason in its place."""
        # It comes last: it names shops and rules, and is not searched for marks.
        return self.text.replace(REASON_MARK, self.foot.text), self.html.replace(REASON_MARK, self.foot.html)


def fill(delivery: Delivery) -> Filled:
    """The content of one delivery's mail: one envelope recipient, the full To and Cc lists in the headers.

    The delivery comes with `message`, `event`, `shop` and `rule` loaded.
    """
    message = delivery.message
    assert message
    unsubscribe = unsubscribing.url(delivery) if UNSUBSCRIBE_MARK in message.text else ""
    link = _link(delivery) if LINK_MARK in message.text else ""
    reply_to = message.reply_to or settings.SUPPORT_EMAIL
    headers = {**headers_of(delivery), **(_list_headers(unsubscribe) if unsubscribe else {})}
    headers |= {**message.headers, **delivery.headers}
    return Filled(
        text=_with_links(message.text, link, unsubscribe),
        html=_with_links(message.html, escape(link), escape(unsubscribe)),
        foot=_foot(delivery, message, why_links.url(delivery)),
        subject=subjects.encoded(message.subject),
        sender=sender_of(delivery),
        to=[addresses.for_sending(address) for address in delivery.to_addresses],
        cc=[addresses.for_sending(address) for address in delivery.cc_addresses],
        reply_to=addresses.for_sending(reply_to) if reply_to else "",
        headers={name: value for name, value in headers.items() if value},
    )


def headers_of(delivery: Delivery) -> dict[str, str]:
    """The headers of every mail of ours, besides those of its message and of the delivery; some may be empty."""
    assert delivery.message
    return {
        "Message-ID": message_id(delivery),
        "Auto-Submitted": "auto-generated",
        "X-BOM-Notification": delivery.notification,
        "X-BOM-As": delivery.as_field,
        "X-BOM-Shop": delivery.shop.site_id if delivery.shop else "",
        "X-BOM-Rule": delivery.rule.reference if delivery.rule else "",
        "X-BOM-Event": one_line(delivery.event.event_id),
        "X-BOM-Mode": delivery.mode,
        "X-BOM-Delivery": str(delivery.id),
        "Content-Language": delivery.message.language,
        # Exchange does not know Auto-Submitted; this is how it is told to keep absence notes to itself.
        "X-Auto-Response-Suppress": "OOF, AutoReply",
    }


def build(delivery: Delivery, connection: Any = None) -> EmailMultiAlternatives:
    """The mail of one delivery as the framework's backends take it; `fill` says what is in it."""
    message = delivery.message
    assert message
    parts = fill(delivery)
    text, html = parts.as_read()
    mail = EmailMultiAlternatives(
        subject=parts.subject,
        body=text,
        from_email=parts.sender,
        to=parts.to,
        cc=parts.cc,
        reply_to=[parts.reply_to] if parts.reply_to else None,
        headers=parts.headers,
        connection=connection,
    )
    mail.attach_alternative(html, "text/html")
    if message.has_attachments:
        for file in message.attachments.all():
            mail.attach(file.name, bytes(file.content), file.content_type)
    return mail


def filled(delivery: Delivery, link: str, unsubscribe: str = MASKED_LINK) -> tuple[str, str]:
    """The text and HTML of a delivery with its reason line and links in their places.

    The link that unsubscribes is masked unless given, and the one of the reader's own page always: whoever may read
    the journal need not have these rights.
    """
    message = delivery.message
    assert message
    foot = _foot(delivery, message, MASKED_LINK)
    # The reason comes last: it names shops and rules, and is not searched for marks.
    text = _with_links(message.text, link, unsubscribe).replace(REASON_MARK, foot.text)
    html = _with_links(message.html, escape(link), escape(unsubscribe)).replace(REASON_MARK, foot.html)
    return text, html


def _with_links(text: str, link: str, unsubscribe: str) -> str:
    return text.replace(LINK_MARK, link).replace(UNSUBSCRIBE_MARK, unsubscribe)


def _foot(delivery: Delivery, message: Message, why: str) -> Foot:
    """The reason of the mail and the link to the page that explains it to this reader."""
    text, html = _around_why(message.language, _reason(delivery, message))
    return Foot(f"{text}{why}", f"{html[0]}{escape(why)}{html[1]}")


@lru_cache(maxsize=1024)
def _around_why(language: str, reason: str) -> tuple[str, tuple[str, str]]:
    """The foot of all mails that give this reason: what stands before the address of its page, and around it."""
    label, colon = _why_label(language)
    text = f"{folded_reason(reason)}\n{label}{colon}\n".lstrip("\n")
    link = format_html('<a href="\x00">{}</a>', label)
    before, _mark, after = (format_html("{}<br>{}", reason, link) if reason else link).partition("\x00")
    return text, (before, after)


@lru_cache(maxsize=8)
def _why_label(language: str) -> tuple[str, str]:
    with translation.override(language):
        labels = layout.labels(language)
        return labels.why, labels.colon


def _reason(delivery: Delivery, message: Message) -> str:
    params = delivery.resolution.get("params", {})
    told = {name: str(params.get(name, "")) for name in ("shop", "rule", "login")}
    return _reason_text(message.language, delivery.resolution.get("reason", ""), **told)


@lru_cache(maxsize=1024)
def _reason_text(language: str, code: str, **params: str) -> str:
    with translation.override(language):
        return " ".join(wording.mail_reason(code, params).splitlines())


@lru_cache(maxsize=1024)
def folded_reason(reason: str) -> str:
    """The reason as the text part has it."""
    return _folded(reason).strip("\n")


def _link(delivery: Delivery) -> str:
    """A fresh single-use link for the account a delivery is about.

    Empty when the account is gone, or links go to another address by now: a late or repeated mail must not
    open it to whoever reads that mailbox, nor one to an address that its owner has not confirmed.
    """
    if delivery.notification == "address_check":
        return verify_links.url(delivery)
    if delivery.notification == "sftp_account":
        account = SftpAccount.objects.filter(company=delivery.company_id, login=delivery.account).first()
        return links.make_sftp_link(account) if account and _is_for(account.email, delivery) else ""
    user = User.objects.filter(login=delivery.account).first()
    return links.make_password_link(user) if user and _is_for(user.link_email, delivery) else ""


def _is_for(address: str, delivery: Delivery) -> bool:
    return addresses.normalise(address) == delivery.normalised_address


def mail_policy(html: str) -> str:
    """The content security policy of a mail shown in a frame: its own styles by their digests, nothing else."""
    blocks = re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL | re.IGNORECASE)
    # Texts are escaped, so a quotation mark of theirs ends no attribute.
    attributes = dict.fromkeys(re.findall(r' style="([^"]*)"', html))
    digests = [hashlib.sha256(style.encode()).digest() for style in (*blocks, *attributes)]
    styles = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests) or "'none'"
    if attributes:
        # Digests speak of attributes only with this word.
        styles += " 'unsafe-hashes'"
    return (
        f"default-src 'none'; style-src {styles}; sandbox; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )
