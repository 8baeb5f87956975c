"""Every mail of the catalogue, in both languages and modes: what a reader sees first, reads, and can do.

The walk composes the samples of the Atelier, which are put together by the real composers.
"""

import re
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser

import pytest

from notifications.core import catalogue
from notifications.mail import emails, showcase, wire
from notifications.mail.composers import COMPOSERS
from notifications.mail.showcase import SAMPLES, Sample

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

# Larger mails are cut by the reader with the most users.
CLIPPED = 102 * 1024
# A receipt of a shop for its buyer, answered to the shop; what staff write in a letter.
NOTHING_TO_DO = {"buyer_email", "newsletter"}
EMAIL_WIDTH = 600


class Page(HTMLParser):
    """What stands in the HTML form of a mail: texts, buttons, links, tables, and what it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.hidden: list[str] = []
        self.buttons: list[str] = []
        self.links: list[str] = []
        self.tables: list[dict[str, str]] = []
        self.unstyled: list[str] = []
        self.loads: list[str] = []
        self._in: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in ("meta", "br"):
            self._in.append("hidden" if "display:none" in given.get("style", "") else tag)
        if tag == "table":
            self.tables.append(given)
        if tag == "td" and "style" not in given:
            self.unstyled.append(str(given))
        if tag in ("img", "link", "script", "iframe", "object", "form") or "src" in given or "background" in given:
            self.loads.append(tag)
        if tag == "a":
            self.links.append(given["href"])
            if "button" in given.get("class", ""):
                self.buttons.append(given["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("meta", "br"):
            self._in.pop()

    def handle_data(self, data: str) -> None:
        if "style" in self._in or "title" in self._in:
            return
        (self.hidden if "hidden" in self._in else self.texts).append(data.strip())


@dataclass(frozen=True)
class Mail:
    """A sample as it arrives."""

    name: str
    sample: Sample
    language: str
    mode: str
    subject: str
    text: str
    html: str
    page: Page


@cache
def _mails() -> list[Mail]:
    made = []
    for sample in SAMPLES:
        for mode in sample.modes:
            for language in showcase.LANGUAGES:
                delivery = showcase.composed(sample, language, mode)
                text, html = emails.fill(delivery).as_read()
                name = f"{sample.key} {mode} {language}"
                assert delivery.message
                made.append(Mail(name, sample, language, mode, delivery.message.subject, text, html, Page(html)))
    return made


@pytest.fixture
def mails(db: None) -> list[Mail]:
    return _mails()


def one_spaced(text: str) -> str:
    return " ".join(text.split())


def test_every_row_and_every_event_of_the_catalogue_has_a_sample() -> None:
    assert {sample.notification for sample in SAMPLES} == set(COMPOSERS)
    assert set(COMPOSERS) == {row.code for row in catalogue.CATALOGUE if row.code != "ipn_call"}, "a call is no mail"
    shown = {(sample.notification, sample.event) for sample in SAMPLES}
    leads = {(code, event.code) for event in catalogue.EVENTS for code in event.leads_to}
    assert leads <= shown, "an event leads to a mail that no sample shows"
    assert {("merchant_email", trigger.code) for trigger in catalogue.TRIGGERS} <= shown
    assert len(showcase.BY_KEY) == len(SAMPLES)


def test_the_subject_is_one_short_line_and_says_test_first(mails: list[Mail]) -> None:
    for mail in mails:
        assert mail.subject.strip() == mail.subject and len(mail.subject.splitlines()) == 1, mail.name
        assert len(mail.subject.removeprefix("[TEST] ")) <= 120, (mail.name, mail.subject)
        assert mail.subject.startswith("[TEST] ") == (mail.mode == "TEST"), mail.name


def test_lists_of_mails_show_more_than_the_subject_twice(mails: list[Mail]) -> None:
    for mail in mails:
        (preview,) = mail.page.hidden
        bare = mail.subject.removeprefix("[TEST] ")
        assert preview and preview.rstrip(".") != bare.rstrip("."), mail.name
        assert len(preview) <= 200, (mail.name, preview)


def test_the_first_line_says_what_happened(mails: list[Mail]) -> None:
    for mail in mails:
        first = mail.text.splitlines()[0].removeprefix("[TEST] ").strip()
        assert len(first.split()) >= 3, (mail.name, first)
        texts = [text for text in mail.page.texts if text]
        # The sender, then the mark of the mode, then what happened.
        headline = texts[2 if mail.mode == "TEST" else 1]
        assert one_spaced(headline).startswith(one_spaced(first)), (mail.name, first, headline)


def test_both_forms_say_the_same(mails: list[Mail]) -> None:
    for mail in mails:
        said = one_spaced(mail.text)
        for text in filter(None, mail.page.texts):
            if text not in ("TEST", "Back Office Marchand", "Lumière Paris"):
                assert one_spaced(text) in said, (mail.name, text)
        for link in mail.page.links:
            assert link.removeprefix("mailto:") in mail.text, (mail.name, link)


def test_there_is_one_thing_to_do_about_it(mails: list[Mail]) -> None:
    for mail in mails:
        count = 0 if mail.sample.notification in NOTHING_TO_DO else 1
        assert len(mail.page.buttons) == count, (mail.name, mail.page.buttons)


def test_the_mail_of_a_payment_leads_to_what_the_payment_caused(mails: list[Mail]) -> None:
    for mail in mails:
        if mail.sample.notification == "merchant_email" and mail.sample.event.startswith(("payment.acc", "transact")):
            (url,) = mail.page.buttons
            assert url.endswith("/notifications/journal/?event=sample"), mail.name


def test_readers_with_little_css_and_no_pictures_show_the_mail(mails: list[Mail]) -> None:
    for mail in mails:
        assert mail.page.loads == [], mail.name
        assert all(table.get("role") == "presentation" for table in mail.page.tables), mail.name
        widths = [int(width) for width in re.findall(r'width="(\d+)"', mail.html)]
        assert max(widths) <= EMAIL_WIDTH and f"max-width:{EMAIL_WIDTH}px" in mail.html, mail.name
        # One has the styles of the frame around it alone.
        assert mail.page.unstyled == [], mail.name
        assert "position:" not in mail.html and "flex" not in mail.html and "url(" not in mail.html, mail.name
        assert len(mail.html.encode()) < CLIPPED // 5, (mail.name, len(mail.html.encode()))


def test_each_mail_is_in_one_language(mails: list[Mail]) -> None:
    for mail in mails:
        words = set(re.findall(r"[a-zàâçéèêëîïôûù]+", re.sub(r"https?://\S+", "", mail.text).lower()))
        foreign = FRENCH if mail.language == "en" else ENGLISH
        assert not words & foreign, (mail.name, words & foreign)


def test_text_fits_a_terminal_and_the_whole_mail_goes_over_the_wire(mails: list[Mail]) -> None:
    for mail in mails:
        for line in mail.text.splitlines():
            assert len(line) <= 78 or "http" in line, (mail.name, line)
    delivery = showcase.composed(SAMPLES[0], "fr", "TEST")
    assert len(wire.of(delivery)) < CLIPPED // 3


# Words that only one of the two languages has.
FRENCH = {
    "le",
    "la",
    "les",
    "des",
    "une",
    "vous",
    "votre",
    "est",
    "sont",
    "pour",
    "avec",
    "dans",
    "boutique",
    "société",
}
ENGLISH = {"the", "your", "you", "this", "that", "with", "for", "was", "has", "shop", "company", "which", "from"}


def test_attempts_of_one_call_and_news_of_one_order_are_one_conversation() -> None:
    def root(key: str) -> str:
        return str(emails.fill(showcase.composed(showcase.BY_KEY[key], "fr", "PRODUCTION")).headers.get("References"))

    assert root("ipn_failure-ipn.failed") == root("ipn_failure-ipn.failed-last") != "None"
    assert (
        root("payment_order_copy-payment_order.sent") == root("payment_order_problem-payment_order.problem") != "None"
    )
    assert root("merchant_email-payment.silence-back") != "None"
    assert root("shop_created-shop.created") == "None"
