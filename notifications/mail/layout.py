"""The two forms of a mail, text and HTML, put together from the same content.

The frame of the HTML form with its styles is `notifications/mail/message.html`, read once. Its rows are made
here, and not by the template engine: looking up each variable of each row by name took half of the time that
accepting an event does. Every value is escaped by `_escaped`, unless it is marked as safe.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape

from django.template.loader import get_template
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from notifications.mail.composers.base import Content, Link, Paragraph


@dataclass(frozen=True)
class Labels:
    """The labels that every mail in one language contains."""

    tables: str
    colon: str
    company: str
    shop: str
    mode: str
    date: str
    rule: str
    unsubscribe: str
    why: str
    no_answer: str


@lru_cache(maxsize=8)
def labels(language: str) -> Labels:
    """The labels in a language, which must be the active one."""
    return Labels(
        tables=_("Voir ce que reçoit chaque adresse"),
        colon=_(" : "),
        company=_("Société"),
        shop=_("Boutique"),
        mode=_("Mode"),
        date=_("Date"),
        rule=_("Règle de notification"),
        unsubscribe=_("Se désabonner de la lettre d'information"),
        why=_("Pourquoi je reçois ce message, et qui peut le changer"),
        # Somebody who answers should know beforehand that nobody reads it.
        no_answer=_("Ne répondez pas à ce message : les réponses ne sont pas lues."),
    )


@dataclass(frozen=True)
class Letter:
    """A content with what stands around it.

    Attributes:
        body_text, body_html: the longer text of the content, in both forms.
        tables_url: the page of the tables; empty for readers who have no such page.
        on_behalf: whose mail it is, in the foot of those that are not the platform's.
        reason_mark, unsubscribe_mark: what is filled in at sending; the second is empty where nobody can unsubscribe.
        is_answered: whether somebody reads the answers.
    """

    content: Content
    language: str
    is_test: bool
    body_text: str
    body_html: SafeString
    platform: str
    trial_note: str
    tables_url: str
    on_behalf: str
    reason_mark: str
    unsubscribe_mark: str
    is_answered: bool

    @property
    def labels(self) -> Labels:
        return labels(self.language)


# --- Text -----------------------------------------------------------------------------------------


def to_text(letter: Letter) -> str:
    """The text form; its lines are not folded yet."""
    content, label = letter.content, letter.labels
    lines = []
    if content.headline:
        lines.append(content.headline)
    if letter.trial_note:
        lines += ["", letter.trial_note]
    for position, paragraph in enumerate(content.lead):
        if position or content.headline or letter.trial_note:
            lines.append("")
        lines += _text_lines(paragraph, label.colon)
    if content.facts:
        lines += ["", *(f"{name}{label.colon}{value}" for name, value in content.facts)]
    if letter.body_text:
        lines += ["", letter.body_text]
    for paragraph in content.paragraphs:
        lines += ["", *_text_lines(paragraph, label.colon)]
    if content.action:
        lines += ["", f"{content.action[0]}{label.colon}", content.action[1]]
    lines += ["", "-- ", letter.reason_mark, *_text_foot(letter)]
    return ("[TEST] " if letter.is_test else "") + "\n".join(lines)


def _text_foot(letter: Letter) -> list[str]:
    label = letter.labels
    lines = []
    if letter.content.sender:
        lines.append(letter.on_behalf)
    else:
        if letter.tables_url:
            lines += [f"{label.tables}{label.colon}", letter.tables_url]
        if letter.unsubscribe_mark:
            lines += [f"{label.unsubscribe}{label.colon}", letter.unsubscribe_mark]
        if not letter.is_answered:
            lines.append(label.no_answer)
        lines.append(letter.platform)
    return lines


def _text_lines(paragraph: Paragraph, colon: str) -> list[str]:
    if isinstance(paragraph, Link):
        return [f"{paragraph.label}{colon}", paragraph.url]
    return list(paragraph)


# --- HTML -----------------------------------------------------------------------------------------

# A row of ours with its places, and the texts that stand there.
Row = tuple[str, Sequence[str]]


# What stands for a value while the frame is rendered; no text has such characters (`characters.one_line`).
_SUBJECT, _PREVIEW, _ROWS = "\x02subject\x03", "\x02preview\x03", "\x02rows\x03"


@lru_cache(maxsize=8)
def _frame(language: str) -> tuple[str, str, str, str]:
    """The frame in a language, in the pieces around the subject, the preview and the rows."""
    whole = get_template("notifications/mail/message.html").render(
        {"language": language, "subject": _SUBJECT, "preview": _PREVIEW, "rows": _ROWS}
    )
    head, _mark, rest = whole.partition(_SUBJECT)
    before, _mark, rest = rest.partition(_PREVIEW)
    middle, _mark, foot = rest.partition(_ROWS)
    return head, before, middle, foot


# Finds the preview again, for whoever shows a mail in a list.
PREVIEW_IN_HTML = re.compile(r'<div style="display:none[^"]*">(.*?)</div>')


# --- Preview --------------------------------------------------------------------------------------

# Lists of mails show about so much of it beside the subject.
_PREVIEW_LENGTH = 120


def preview(letter: Letter) -> str:
    """The preview text that lists of mails show beside the subject: facts that the subject does not contain.

    A mail without such facts shows the first text after its headline.
    """
    content, label = letter.content, letter.labels
    if content.preview:
        return _cut(content.preview)
    # The subject or the sender's name says which shop, the list says when, the foot by which rule.
    told = (label.company, label.shop, label.mode, label.date, label.rule)
    parts: list[str] = []
    length = 0
    for name, value in content.facts:
        if name in told or value in content.subject:
            continue
        parts.append(f"{name}{label.colon}{value}")
        length += len(parts[-1]) + 3
        if length > _PREVIEW_LENGTH:
            break
    return _cut(" · ".join(parts) or next(_first_texts(letter), ""))


def _cut(text: str) -> str:
    return text if len(text) <= _PREVIEW_LENGTH else f"{text[: _PREVIEW_LENGTH - 1].rstrip()}…"


def _first_texts(letter: Letter) -> Iterator[str]:
    content = letter.content
    # Without what marks headings and lists in a text.
    body = " ".join(word for word in letter.body_text.split() if word.strip("-="))
    for paragraph in (*content.lead, body, *content.paragraphs, content.headline):
        text = "" if isinstance(paragraph, Link) else paragraph if isinstance(paragraph, str) else " ".join(paragraph)
        if text and text != content.subject:
            yield text


def _escaped(text: str) -> str:
    return text if isinstance(text, SafeString) else escape(str(text))


def to_html(letter: Letter) -> str:
    """The HTML form, every value escaped."""
    forms: list[str] = []
    values: list[str] = []
    for form, row in _rows(letter):
        forms.append(form)
        values += row
    # What `format_html` does, whose calls took a tenth of the time of composing.
    rows = "\n".join(forms).format(*map(_escaped, values))
    head, before, middle, foot = _frame(letter.language)
    subject, shown = _escaped(letter.content.subject), _escaped(preview(letter))
    return f"{head}{subject}{before}{shown}{middle}{rows}{foot}"


# Signs never start a line, and quotation marks never stand alone.
_TYPOGRAPHY = tuple((f" {sign}", f"\xa0{sign}") for sign in ";?!»") + (("« ", "«\xa0"),)


def _unbroken(text: str) -> str:
    """A French sentence with the spaces that do not break."""
    for plain, unbroken in _TYPOGRAPHY:
        text = text.replace(plain, unbroken)
    return text


# Styles stand on the elements: some readers drop the style block, which only adds narrow screens and the dark.
_ROW = '<tr><td class="row{cls}" style="padding:{top}px 28px {bottom}px{more}">'.format
_PLAIN = _ROW(cls="", top=16, bottom=0, more="")
_FROM = _ROW(cls=" from", top=22, bottom=0, more=";font-size:14px;color:#475569")
_HEADLINE = _ROW(cls=" headline", top=8, bottom=0, more=";font-size:20px;font-weight:600;line-height:1.35")
_BODY = _ROW(cls=" body", top=16, bottom=0, more="")
_ACT = _ROW(cls=" act", top=24, bottom=0, more="")
_FOOT = _ROW(cls=" foot", top=28, bottom=24, more=";font-size:13px;color:#475569")
_END = "</td></tr>"
_TEST = (
    ' <strong class="test" style="display:inline-block;padding:0 6px;border:1px dashed #92400e;border-radius:4px;'
    'font-size:12px;letter-spacing:0.04em;color:#92400e">TEST</strong>'
)
# The cell has the colour as well: one reader knows no padding of links.
_BUTTON = (
    f'{_ACT}<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr>'
    '<td class="fill" bgcolor="#115e59" style="border-radius:6px;mso-padding-alt:11px 20px">'
    '<a class="button" style="display:inline-block;padding:11px 20px;border-radius:6px;background:#115e59;'
    'color:#ffffff;font-weight:600;text-decoration:none" href="{}">{}</a></td></tr></table>' + _END
)
_QUIET = f'{_PLAIN}<a href="{{}}">{{}}</a>{_END}'


def _rows(letter: Letter) -> Iterator[Row]:
    content = letter.content
    yield f"{_FROM}{{}}{_TEST if letter.is_test else ''}{_END}", [content.sender or letter.platform]
    if content.headline:
        yield f"{_HEADLINE}{{}}{_END}", [_unbroken(content.headline) if letter.language == "fr" else content.headline]
    if letter.trial_note:
        yield f"{_PLAIN}{{}}{_END}", [letter.trial_note]
    for paragraph in content.lead:
        yield _paragraph(paragraph, letter.language)
    if content.facts:
        yield _facts(content.facts)
    if letter.body_html:
        yield f"{_BODY}{{}}{_END}", [letter.body_html]
    for paragraph in content.paragraphs:
        yield _paragraph(paragraph, letter.language)
    if content.action:
        label, url = content.action
        yield _BUTTON, [url, label]
    yield _foot(letter)


def _paragraph(paragraph: Paragraph, language: str) -> Row:
    if not isinstance(paragraph, Link):
        lines = list(map(_unbroken, paragraph)) if language == "fr" else list(paragraph)
        return f"{_PLAIN}{_broken(['{}'] * len(lines))}{_END}", lines
    return _QUIET if paragraph.quiet else _BUTTON, [paragraph.url, paragraph.label]


_TABLE = (
    f'{_PLAIN}\n<table role="presentation" class="facts" width="100%" cellpadding="0" cellspacing="0" border="0" '
    'style="width:100%;font-size:15px;border-bottom:1px solid #e2e8f0">\n',
    f"</table>{_END}",
)
_FACT = (
    '<tr><td class="label" width="36%" valign="top" style="padding:7px 12px 7px 0;border-top:1px solid #e2e8f0;'
    'color:#475569">{}</td><td class="value" valign="top" style="padding:7px 0;border-top:1px solid #e2e8f0;'
    'font-variant-numeric:tabular-nums">{}</td></tr>\n'
)


def _facts(facts: Sequence[tuple[str, str]]) -> Row:
    return (_FACT * len(facts)).join(_TABLE), [text for fact in facts for text in fact]


def _foot(letter: Letter) -> Row:
    label = letter.labels
    forms, values = ["{}"], [letter.reason_mark]
    if letter.content.sender:
        forms.append("{}")
        values.append(letter.on_behalf)
    elif letter.tables_url:
        forms.append('<a href="{}">{}</a>')
        values += [letter.tables_url, label.tables]
    if letter.unsubscribe_mark:
        forms.append('<a href="{}">{}</a>')
        values += [letter.unsubscribe_mark, label.unsubscribe]
    if not letter.is_answered:
        forms.append("{}")
        values.append(label.no_answer)
    return f"{_FOOT}{_broken(forms)}{_END}", values


def _broken(forms: Sequence[str]) -> str:
    """Lines one below the other."""
    return "<br>".join(forms)
