"""E-mail addresses: validation, comparison, splitting of typed lists (docs/rules.md 4.4 and 4.6).

Pure: no database, no settings, no clock. Messages are lazy, so they speak the reader's language.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping

from django.utils.functional import lazystr
from django.utils.translation import gettext_lazy as _

from backoffice.text import characters, hosts, slips

MAX_LOCAL = 64
MAX_LENGTH = 254

_SEPARATORS = re.compile(r"[;,\s]+")
# An address in angle brackets, as mail programs write it behind a name.
_IN_ROUND_BRACKETS = re.compile(r"\(\s*(?:mailto:)?([^()<>\s@]+@[^()<>\s]+)\s*\)(?!\s*<)", re.IGNORECASE)
_BRACKETED = re.compile(r"<\s*(?:mailto:)?([^<>\s@]*@[^<>\s]*)\s*>", re.IGNORECASE)
# Closing mark → opening mark of what stands in quotation marks.
_QUOTES = {'"': '"', "”": "“", "»": "«", "'": "'"}
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class InvalidAddress(ValueError):
    """An address that cannot be accepted.

    Attributes:
        address: the text as typed.
        message: a lazy sentence that names the address and says what is wrong.
    """

    def __init__(self, address: str, message: object) -> None:
        self.address = address
        self.message = message
        super().__init__(str(address))

    def __str__(self) -> str:
        return str(self.message)


def validate(address: str) -> str:
    """Return `address` trimmed, or raise InvalidAddress saying why it cannot receive mail.

    The part before the `@` is ASCII, at most 64 characters, without quoting; the domain may be
    international and has at least two labels.
    """
    typed = address.strip()
    if not typed:
        raise InvalidAddress(typed, _("L'adresse e-mail est vide."))
    local, at, domain = typed.rpartition("@")
    if not at or not local or not domain:
        raise _refused(typed, _("« %(address)s » n'est pas une adresse e-mail : il faut un nom, un @ et un domaine."))
    _check_visible(typed)
    _check_local(typed, local)
    wire_domain = _checked_domain(typed, domain)
    if len(local) + 1 + len(wire_domain) > MAX_LENGTH or len(typed) > MAX_LENGTH:
        raise _refused(typed, _("« %(address)s » : une adresse e-mail compte au plus 254 caractères."))
    return typed


def _refused(typed: str, reason: object, **named: str) -> InvalidAddress:
    message = _fill(reason, {"address": _shown(typed), **named})
    meant = slips.suggestion(typed)
    if meant:
        # A dot that is missing, say: there is nothing to keep, but what was meant can be told.
        message = _fill(_("%(message)s Vouliez-vous dire %(meant)s ?"), {"message": message, "meant": _shown(meant)})
    return InvalidAddress(typed, message)


def _check_visible(typed: str) -> None:
    # The zero-width joiners that some scripts need in a domain are for IDNA to judge.
    hidden = characters.first_hidden(typed) or next(
        (one for one in typed if not one.isprintable() and one not in "\u200c\u200d"), ""
    )
    if hidden:
        reason = _(
            "« %(address)s » n'est pas une adresse e-mail valide : vérifiez le domaine après le @. "
            "Il y a dans l'adresse un caractère que l'on ne voit pas, %(code)s : retirez-le."
        )
        raise _refused(typed, reason, code=characters.name(hidden))


def _check_local(typed: str, local: str) -> None:
    if not local.isascii():
        raise _refused(
            typed, _("« %(address)s » : la partie avant le @ ne peut contenir ni accent ni caractère non latin.")
        )
    if len(local) > MAX_LOCAL:
        raise _refused(typed, _("« %(address)s » : la partie avant le @ dépasse 64 caractères."))
    if not _LOCAL.fullmatch(local):
        raise _refused(typed, _("« %(address)s » n'est pas une adresse e-mail valide : vérifiez la partie avant le @."))


def _checked_domain(typed: str, domain: str) -> str:
    """The domain as on the wire."""
    if disguised := hosts.disguised(domain):
        reason = _(
            "« %(address)s » : le domaine après le @ contient des caractères déguisés, %(characters)s : "
            "écrivez-le en lettres ordinaires."
        )
        raise _refused(typed, reason, characters=hosts.named(disguised))
    try:
        labels = hosts.to_ascii(domain).split(".")
    except hosts.BadHost:
        labels = []
    if len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)) or len(labels[-1]) < 2 or labels[-1].isdigit():
        raise _refused(
            typed, _("« %(address)s » n'est pas une adresse e-mail valide : vérifiez le domaine après le @.")
        )
    return ".".join(labels)


def validate_single(text: str) -> str:
    """As `validate`, for a field that holds exactly one address: several are refused by name."""
    typed = text.strip()
    if len(list(filter(None, _SEPARATORS.split(typed)))) > 1 or ";" in typed or "," in typed:
        raise InvalidAddress(
            typed, _fill(_("« %(address)s » : ce champ contient une seule adresse e-mail."), {"address": _shown(typed)})
        )
    return validate(typed)


def normalise(address: str) -> str:
    """The form in which two addresses are compared: trimmed, NFC, lower case, domain in IDNA 2008.

    Total: text that is no valid address is returned trimmed and lower-cased.
    """
    typed = unicodedata.normalize("NFC", address.strip())
    local, at, domain = typed.rpartition("@")
    if not at:
        return typed.lower()
    try:
        return f"{local.lower()}@{hosts.to_ascii(domain)}"
    except hosts.BadHost:
        return typed.lower()


def for_sending(address: str) -> str:
    """The address as it stands in SMTP commands and headers: typed local part, IDNA domain.

    Raises UnicodeError (`hosts.BadHost`) for a domain that has no such form.
    """
    local, _at, domain = address.strip().rpartition("@")
    return f"{local}@{hosts.to_ascii(domain)}"


def for_display(address: str) -> str:
    """The address as it may be shown to people who are to trust it, see `hosts.shown`."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{hosts.shown(domain)}"


def split(text: str) -> list[str]:
    """The pieces of a typed list: separated by `;`, also by `,`, spaces and new lines; names left out, see `named`."""
    return named(text)[0]


def named(text: str) -> tuple[list[str], list[str]]:
    """(pieces, names) of what people type or paste from a mail program.

    A name is what stands before an address in angle brackets, as in `"Morel, Claire" <c@x.example>; …`, with or
    without quotation marks; in round brackets, `Claire Morel (c@x.example)`, as well. An address there is a name only in quotation marks or where it is the one in
    brackets: nobody's address is dropped. Whatever is neither stays a piece, to be refused by name.
    """
    text = _IN_ROUND_BRACKETS.sub(r"<\1>", text)
    pieces: list[str] = []
    names: list[str] = []
    end = 0
    for match in _BRACKETED.finditer(text):
        before, name = _name_before(text[end : match.start()], match[1])
        pieces += _pieces(before)
        pieces.append(match[1])
        if name:
            names.append(name)
        end = match.end()
    pieces += _pieces(text[end:])
    return pieces, names


def _pieces(text: str) -> list[str]:
    return [_without_scheme(piece) for piece in _SEPARATORS.split(text) if piece]


def _without_scheme(text: str) -> str:
    """The address of a link to it, as « Copier le lien » gives it: mailto:c@x.example?subject=…"""
    text = text.strip()
    return text[7:].partition("?")[0] if text[:7].lower() == "mailto:" else text


def _name_before(text: str, address: str) -> tuple[str, str]:
    """(what comes before it, name) of the text in front of an address in angle brackets."""
    text = text.rstrip()
    start = _quoted_start(text)
    if start is not None:
        return text[:start], text[start + 1 : -1].replace('\\"', '"').strip()
    start = max(text.rfind(mark) for mark in ";\r\n") + 1
    head, name = text[:start], text[start:]
    # A comma parts the words of a name, as in Morel, Claire, but not an address from a name.
    comma = name.find(",", name.rfind("@")) if "@" in name else -1
    if comma >= 0:
        head, name = f"{head}{name[: comma + 1]}", name[comma + 1 :]
    words = name.split()
    own = normalise(address)
    others = [place for place, word in enumerate(words) if "@" in word and normalise(word.strip("(),")) != own]
    if others:
        head, words = f"{head} {' '.join(words[: others[-1] + 1])}", words[others[-1] + 1 :]
    return head, " ".join(words).strip(", ")


def _quoted_start(text: str) -> int | None:
    """Where a name in quotation marks begins that ends the text; None where none does."""
    opening = _QUOTES.get(text[-1:])
    if opening is None:
        return None
    start = text.rfind(opening, 0, len(text) - 1)
    while start > 0 and text[start - 1] == "\\":
        start = text.rfind(opening, 0, start)
    # An apostrophe is none of a pair inside a word.
    inside = opening == "'" and start > 0 and not (text[start - 1].isspace() or text[start - 1] in ";,")
    return None if start < 0 or inside else start


def single(text: str) -> tuple[str, str]:
    """(address, name) typed into a field for one address; the name empty where none was. Raises InvalidAddress."""
    text = _IN_ROUND_BRACKETS.sub(r"<\1>", text)
    pieces, names = named(text)
    if len(pieces) == 1 and "<" in text:
        return validate_single(pieces[0]), " ".join(names)
    return validate_single(_without_scheme(text)), ""


def bare(text: str) -> str:
    """The address of what stands in a field for one address, its name left out; the text itself where there is none."""
    pieces = split(text) if "<" in text or _IN_ROUND_BRACKETS.search(text) else []
    return pieces[0] if len(pieces) == 1 else _without_scheme(text)


def unique(addresses: Iterable[str]) -> list[str]:
    """The addresses in order, later spellings of an earlier one left out."""
    seen: dict[str, str] = {}
    for address in addresses:
        seen.setdefault(normalise(address), address)
    return list(seen.values())


def join(addresses: Iterable[str]) -> str:
    """A list as it is shown in one field."""
    return "; ".join(addresses)


def _shown(typed: str) -> str:
    """The typed text, shortened and without control characters, fit for a message."""
    visible = "".join(character if character.isprintable() else "�" for character in typed)
    return visible if len(visible) <= 100 else visible[:99] + "…"


def _fill(message: object, values: Mapping[str, object]) -> object:
    return lazystr(_Filled(message, values))


class _Filled:
    def __init__(self, message: object, values: Mapping[str, object]) -> None:
        self.message, self.values = message, values

    def __str__(self) -> str:
        return str(self.message) % self.values


# What may follow the @: letters of any script with their marks, digits, hyphens, and the dots of IDNA.
_DOMAIN_IN_TEXT = r"([\w\u0300-\u036f-]+(?:[.\u3002\uff0e\uff61][\w\u0300-\u036f-]+)*)"


class Mentions:
    """Find one address in running text in every spelling, never as a part of a longer one.

    Spellings differ in case, in Unicode form, in the domain (international or as `xn--…`) and, within
    links, in a `%40` for the @.

    Attributes:
        starts: what each spelling holds, in ASCII: for a first look by the database, without regard to case.
    """

    def __init__(self, email: str) -> None:
        self._wanted = normalise(email)
        self._local = self._wanted.rpartition("@")[0]
        self.starts = (f"{self._local}@", f"{self._local}%40")
        self._pattern = re.compile(
            rf"(?<![A-Za-z0-9._+~-]){re.escape(self._local)}(?:@|%40){_DOMAIN_IN_TEXT}", re.IGNORECASE
        )

    def _is_it(self, candidate: re.Match[str]) -> bool:
        return normalise(f"{self._local}@{candidate[1].rstrip('-')}") == self._wanted

    def within(self, text: str) -> bool:
        return any(self._is_it(match) for match in self._pattern.finditer(text))

    def replaced(self, text: str, instead: str) -> str:
        """The text with `instead` in each place of the address."""
        return self._pattern.sub(lambda match: instead if self._is_it(match) else match[0], text)
