"""E-mail addresses: validation, comparison, splitting of typed lists (DESIGN 4.4 and 4.6).

Pure: no database, no settings, no clock. Messages are lazy, so they speak the reader's language.
"""

import re
import unicodedata
from collections.abc import Iterable

from django.utils.functional import lazystr
from django.utils.translation import gettext_lazy as _

MAX_LOCAL = 64
MAX_LENGTH = 254

_SEPARATORS = re.compile(r"[;,\s]+")
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


def _domain_ascii(domain: str) -> str:
    """The domain as it goes on the wire: Python's `idna` codec, lower case.

    Raises UnicodeError when the codec refuses it.
    """
    return unicodedata.normalize("NFC", domain).encode("idna").decode("ascii").lower()


def validate(address: str) -> str:
    """Return `address` trimmed, or raise InvalidAddress saying why it cannot receive mail.

    The part before the `@` is ASCII, at most 64 characters, without quoting; the domain may be
    international and has at least two labels.
    """
    typed = address.strip()

    def refuse(reason: object) -> InvalidAddress:
        return InvalidAddress(typed, reason)

    shown = {"address": _shown(typed)}
    if not typed:
        return_empty = _("L'adresse e-mail est vide.")
        raise refuse(return_empty)
    local, at, domain = typed.rpartition("@")
    if not at or not local or not domain:
        raise refuse(
            _fill(_("« %(address)s » n'est pas une adresse e-mail : il faut un nom, un @ et un domaine."), shown)
        )
    if not typed.isprintable():
        # The codec drops invisible characters of a domain without a word; what is shown would lie.
        raise refuse(
            _fill(_("« %(address)s » n'est pas une adresse e-mail valide : vérifiez le domaine après le @."), shown)
        )
    if not local.isascii():
        raise refuse(
            _fill(_("« %(address)s » : la partie avant le @ ne peut contenir ni accent ni caractère non latin."), shown)
        )
    if len(local) > MAX_LOCAL:
        raise refuse(_fill(_("« %(address)s » : la partie avant le @ dépasse 64 caractères."), shown))
    if not _LOCAL.fullmatch(local):
        raise refuse(
            _fill(_("« %(address)s » n'est pas une adresse e-mail valide : vérifiez la partie avant le @."), shown)
        )
    try:
        labels = _domain_ascii(domain).split(".")
    except UnicodeError:
        labels = []
    if len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)) or len(labels[-1]) < 2 or labels[-1].isdigit():
        raise refuse(
            _fill(_("« %(address)s » n'est pas une adresse e-mail valide : vérifiez le domaine après le @."), shown)
        )
    if len(local) + 1 + len(".".join(labels)) > MAX_LENGTH or len(typed) > MAX_LENGTH:
        raise refuse(_fill(_("« %(address)s » : une adresse e-mail compte au plus 254 caractères."), shown))
    return typed


def validate_single(text: str) -> str:
    """As `validate`, for a field that holds exactly one address: several are refused by name."""
    typed = text.strip()
    if len(list(filter(None, _SEPARATORS.split(typed)))) > 1 or ";" in typed or "," in typed:
        raise InvalidAddress(
            typed, _fill(_("« %(address)s » : ce champ contient une seule adresse e-mail."), {"address": _shown(typed)})
        )
    return validate(typed)


def normalise(address: str) -> str:
    """The form in which two addresses are compared: trimmed, NFC, lower case, domain in IDNA.

    Total: text that is no valid address is returned trimmed and lower-cased.
    """
    typed = unicodedata.normalize("NFC", address.strip())
    local, at, domain = typed.rpartition("@")
    if not at:
        return typed.lower()
    try:
        return f"{local.lower()}@{_domain_ascii(domain)}"
    except UnicodeError:
        return typed.lower()


def for_sending(address: str) -> str:
    """The address as it stands in SMTP commands and headers: typed local part, IDNA domain."""
    local, _at, domain = address.strip().rpartition("@")
    return f"{local}@{_domain_ascii(domain)}"


def split(text: str) -> list[str]:
    """The pieces of a typed list: separated by `;`, also by `,`, spaces and new lines."""
    return [piece for piece in _SEPARATORS.split(text) if piece]


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


def _fill(message: object, values: dict[str, str]) -> object:
    return lazystr(_Filled(message, values))


class _Filled:
    def __init__(self, message: object, values: dict[str, str]) -> None:
        self.message, self.values = message, values

    def __str__(self) -> str:
        return str(self.message) % self.values


# What may follow the @: letters of any script with their marks, digits, hyphens, and the dots of IDNA.
_DOMAIN_IN_TEXT = r"([\w\u0300-\u036f-]+(?:[.\u3002\uff0e\uff61][\w\u0300-\u036f-]+)*)"


class Mentions:
    """Finds one address in running text, in whatever spelling, and never as a part of a longer address.

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

    def _is_it(self, found: re.Match[str]) -> bool:
        return normalise(f"{self._local}@{found[1].rstrip('-')}") == self._wanted

    def within(self, text: str) -> bool:
        return any(self._is_it(found) for found in self._pattern.finditer(text))

    def replaced(self, text: str, instead: str) -> str:
        """The text with `instead` in each place of the address."""
        return self._pattern.sub(lambda found: instead if self._is_it(found) else found[0], text)
