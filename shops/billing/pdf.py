"""The PDF of a billing document.

Drawn with fpdf2 and the Fira Sans of a package, whose glyphs cover Latin, Greek and Cyrillic. The same document gives
the same bytes: dates come from the document, never from the clock.
"""

import unicodedata
from functools import lru_cache
from pathlib import Path

import fontpkg_fira_sans
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace

from backoffice.text import times
from shops.billing import words
from shops.billing.pricing import Line
from shops.models import BillingDocument

_FILES = Path(fontpkg_fira_sans.ROOT) / "files"
_FONTS = {"": _FILES / "FiraSans-Regular.ttf", "B": _FILES / "FiraSans-SemiBold.ttf"}
_INK, _MUTED, _LINE, _SHADE = (31, 41, 55), (87, 96, 111), (203, 210, 219), (238, 242, 245)
# What the font draws otherwise: spaces of all widths, hyphens, primes.
_SPELLED = {
    0x202F: "\xa0",
    0x2009: "\xa0",
    0x2010: "-",
    0x2011: "-",
    0x2032: "'",
    0x2033: '"',
    0x2028: " ",
    0x2029: " ",
}


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    regular = set(TTFont(_FONTS[""]).getBestCmap())
    return frozenset(regular & set(TTFont(_FONTS["B"]).getBestCmap()))


def drawable(text: str) -> str:
    """The text with every character the font lacks replaced: by a twin, by its base letter, else by « ? »."""
    return "".join(_drawable(character) for character in unicodedata.normalize("NFC", text))


def _drawable(character: str) -> str:
    if ord(character) in _glyphs():
        return character
    if ord(character) in _SPELLED:
        return _SPELLED[ord(character)]
    if character in "\u200c\u200d":
        return ""
    if unicodedata.category(character).startswith(("C", "Z")):
        return " "
    bases = "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))
    return bases if bases and all(ord(part) in _glyphs() for part in bases) else "?"


def render(document: BillingDocument, time_zone: str) -> bytes:
    """The document as a PDF, in its own language, dates in the given zone."""
    with translation.override(document.language), timezone.override(time_zone):
        return _Page(document).drawn()


class _Page(FPDF):
    def __init__(self, document: BillingDocument) -> None:
        super().__init__(format="A4")
        self.document = document
        for style, path in _FONTS.items():
            self.add_font("Fira", style, path)
        self.set_margins(18, 18, 18)
        self.set_auto_page_break(True, margin=22)
        self.set_title(drawable(words.title(document)))
        self.set_author(drawable(document.issuer.get("name", "")))
        self.set_subject(drawable(f"{document.customer.get('shop', '')} · {self._period()}"))
        self.set_lang({"fr": "fr-FR", "en": "en-GB"}.get(document.language, document.language))
        self.set_creator("")
        self.set_producer("")
        self.set_creation_date(document.issued_at)
        self.set_text_color(*_INK)
        self.set_draw_color(*_LINE)

    def _period(self) -> str:
        return words.period(self.document.period_start, self.document.period_end)

    def footer(self) -> None:
        self.set_y(-16)
        self.set_font("Fira", "", 8)
        self.set_text_color(*_MUTED)
        page = _("Page %(n)s sur %(total)s") % {"n": self.page_no(), "total": "{nb}"}
        self.cell(0, 5, drawable(f"{words.title(self.document)} · {page}"), align="C")
        self.set_text_color(*_INK)

    def drawn(self) -> bytes:
        self.add_page()
        self._head()
        if self.document.lines:
            self._lines()
        self._totals()
        self._foot()
        return bytes(self.output())

    def _write(self, text: str, size: float = 10, style: str = "", width: float = 0, align: str = "L") -> None:
        self.set_font("Fira", style, size)
        self.multi_cell(width, size * 0.52, drawable(text), align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _head(self) -> None:
        document = self.document
        self._write(document.issuer.get("name", ""), 11, "B")
        self.ln(8)
        self._write(words.title(document), 20, "B")
        self.ln(2)
        issued = times.day(document.issued_at)
        self._write(_("Émise le %(date)s") % {"date": issued})
        self._write(_("Période : %(period)s") % {"period": self._period()})
        shop = f"{document.customer.get('shop', '')} ({document.customer.get('site_id', '')})"
        self._write(_("Boutique : %(shop)s") % {"shop": shop})
        if document.credits is not None:
            self._write(_("Annule la facture %(number)s") % {"number": document.credits.number}, style="B")
        self.ln(6)
        for number, text in enumerate(words.customer_lines(document.customer)):
            self._write(text, 10, "" if number else "B")
        self.ln(8)

    def _lines(self) -> None:
        document = self.document
        heading = FontFace(emphasis="BOLD", fill_color=_SHADE, color=_INK)
        self.set_font("Fira", "", 9)
        with self.table(
            col_widths=(50, 14, 18, 18),
            text_align=("LEFT", "RIGHT", "RIGHT", "RIGHT"),
            headings_style=heading,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            line_height=6,
            padding=(1, 2),
        ) as table:
            table.row(
                [drawable(text) for text in (_("Prestation"), _("Quantité"), _("Prix unitaire"), _("Montant HT"))]
            )
            for item in document.lines:
                told = words.row(Line.from_json(item), document.currency)
                table.row([drawable(told[name]) for name in ("label", "quantity", "unit_price", "amount")])
        self.ln(4)

    def _totals(self) -> None:
        document, width = self.document, 80
        rows = (
            (_("Total hors taxes"), document.net, ""),
            (_("TVA %(rate)s") % {"rate": words.rate(document.tax_rate)}, document.tax, ""),
            (_("Total TTC"), document.gross, "B"),
        )
        for name, value, style in rows:
            self.set_font("Fira", style, 11 if style else 10)
            self.set_x(self.w - self.r_margin - width)
            self.cell(width / 2, 7, drawable(name), border="T" if style else 0)
            shown = drawable(words.amount(value, document.currency))
            self.cell(width / 2, 7, shown, border="T" if style else 0, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(8)

    def _foot(self) -> None:
        self.set_text_color(*_MUTED)
        self._write(
            _("Chaque ligne est arrondie à la plus petite unité de la devise ; la TVA est calculée sur le total."), 8
        )
        if self.document.gross < 0:
            self._write(_("Montant porté à votre crédit."), 8)
        self.set_text_color(*_INK)
