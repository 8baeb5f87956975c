"""What a password must not be: common, guessable from where it is used, or made of such pieces.

Length counts, composition does not (OWASP ASVS 5, V6.2): no rule asks for digits or signs, spaces and any
letters are welcome, nothing is cut off, and nobody has to change a password that still holds.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

LONGEST = 1024
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789",
    "azertyuiopqsdfghjklmwxcvbn",
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
)
_LOOKALIKES = str.maketrans("@4301!5$7", "aaeoiisst")
_FRENCH = (
    "motdepasse", "azerty", "azertyuiop", "bonjour", "soleil", "doudou", "loulou", "chouchou", "marseille", "jetaime",
    "coucou", "chocolat", "nicolas", "camille", "entreprise", "administrateur", "gestionnaire", "connexion", "boutique",
    "paiement", "societe", "printemps", "automne", "janvier", "fevrier", "septembre", "octobre", "novembre", "decembre",
)  # fmt: skip
_EVERYWHERE = ("password", "admin", "login", "backoffice", "marchand", "welcome", "changeme")


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    """The framework's list of some 20,000 leaked passwords, and words that a French list would hold."""
    return frozenset(CommonPasswordValidator().passwords) | frozenset(_FRENCH) | frozenset(_EVERYWHERE)


def _plain(text: str) -> str:
    """Lower case, without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _is_run(text: str) -> bool:
    """Whether a text is a piece of the alphabet, of the digits or of a keyboard, in either direction."""
    return len(text) >= 3 and any(text in run + run or text in (run + run)[::-1] for run in _RUNS)


def _is_repeated(text: str) -> bool:
    """Whether a text is one piece of up to a third of its length over and over."""
    return any(text == (text[:size] * len(text))[: len(text)] for size in range(1, len(text) // 3 + 1))


def _pieces(words: frozenset[str], context: frozenset[str], text: str, left: int) -> bool:
    """Whether a text falls apart into at most `left` guessable pieces and trimmings of up to four signs."""
    if re.fullmatch(r"[\W\d_]{0,8}", text) or (len(text) <= 4 and not text.isalpha()):
        return True
    if left == 0:
        return False
    for end in range(len(text), 2, -1):
        piece = text[:end]
        guessable = piece in context or _is_run(piece) or (end >= 4 and (piece in words or _is_repeated(piece)))
        if guessable and _pieces(words, context, text[end:], left - 1):
            return True
    # Digits and signs between the pieces are what everybody adds.
    trimming = re.match(r"[\W\d_]{1,8}", text)
    return bool(trimming) and _pieces(words, context, text[trimming.end() :], left)  # type: ignore[union-attr]


def is_guessable(password: str, context: frozenset[str] = frozenset()) -> bool:
    """Whether a password is among those that are tried first.

    That is a common password, or at most two common words, context words, runs or repetitions with
    digits and signs around them, also in look-alike signs (`P@ssw0rd`).

    Args:
        context: words that belong to the account or the platform, in lower case without accents.
    """
    words, plain = _common(), _plain(password)
    return any(
        text in words or _is_repeated(text) or _pieces(words, context, text, 2)
        for text in {plain, plain.translate(_LOOKALIKES)}
    )


def context_of(user: Any) -> frozenset[str]:
    """Words an attacker knows who knows the account: its names, its address, its company, the platform."""
    texts = [settings.PLATFORM_NAME]
    if user is not None:
        texts += [user.login, user.email, user.first_name, user.last_name]
        if company := getattr(user, "company", None):
            texts += [company.name, company.reference]
    words = {word for text in texts for word in re.split(r"[\W_]+", _plain(text)) if len(word) >= 3}
    return frozenset(words | {re.sub(r"[\W_]+", "", _plain(text)) for text in texts if len(text) >= 3})


class GuessableValidator:
    """Refuses what `is_guessable` knows, with the words of the account at hand."""

    def validate(self, password: str, user: Any = None) -> None:
        # A password this long is no list's; the search below would only cost time.
        if len(password) <= 64 and is_guessable(password, context_of(user)):
            raise ValidationError(
                _(
                    "Ce mot de passe fait partie de ceux qu'on essaie d'abord : mot courant, suite de touches, nom de "
                    "la société ou du compte. Assemblez plutôt plusieurs mots sans rapport entre eux."
                ),
                code="password_guessable",
            )

    def get_help_text(self) -> str:
        return _("Pas de mot de passe courant, ni le nom de la société ou du compte.")


class LongestValidator:
    """A length far above any pass phrase, so that hashing cannot be used to overload the server."""

    def validate(self, password: str, user: Any = None) -> None:
        if len(password) > LONGEST:
            raise ValidationError(
                _("Un mot de passe compte au plus %(n)d caractères.") % {"n": LONGEST}, code="password_too_long"
            )

    def get_help_text(self) -> str:
        return ""
