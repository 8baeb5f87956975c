"""Why a mail did not arrive, in a sentence for people; the words of a server stand beside it as the proof.

Pure: what a server said, or what went wrong on the way to it, is all that is looked at.
"""

import re
from collections.abc import Mapping
from typing import Any

from django.utils.encoding import force_str
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from notifications.core import wording

# What is found in the words of a server → what it means; the first that fits.
_SAID: tuple[tuple[str, Promise], ...] = (
    (
        r"^\[limit ",
        _("Le rythme d'envoi vers ce destinataire ou ce serveur est limité : l'e-mail attend son tour."),
    ),
    (
        r"^\[answer unknown\]",
        _("Le message est parti en entier, mais son serveur n'a pas répondu : il est peut-être arrivé."),
    ),
    (
        r"\b5\.1\.(0|1|10)\b|user unknown|unknown user|no such (user|mailbox)|does not exist|mailbox (not found|unavailable)"
        r"|recipient (address )?rejected|invalid recipient|unknown recipient",
        _("Cette adresse n'existe pas ou plus chez son hébergeur."),
    ),
    (r"\b[45]\.2\.2\b|mailbox (is )?full|over ?quota|quota exceeded", _("La boîte de cette adresse est pleine.")),
    (r"\b5\.2\.1\b|disabled|inactive", _("La boîte de cette adresse est fermée.")),
    (r"\b5\.3\.4\b|too (large|big)|size limit|message size", _("Le message est trop volumineux pour son serveur.")),
    (r"gr[ea]ylist|\b4\.7\.\d|try again later|temporar", _("Son serveur demande de réessayer plus tard.")),
    (
        r"\b5\.7\.\d|spam|blocked|blacklist|blocklist|policy|dmarc|spf|dkim|reputation",
        _("Son serveur refuse le message : il le prend pour indésirable ou contraire à ses règles."),
    ),
    (r"\b5\.1\.2\b|host not found|domain (not found|does not)", _("Le domaine de cette adresse n'existe pas.")),
    (
        r"gaierror|name or service not known|name resolution|nodename nor servname|dns",
        _("Le serveur d'envoi n'a pas été trouvé : son nom est inconnu."),
    ),
    (r"refused|errno 111", _("Le serveur d'envoi refuse la connexion.")),
    (r"timed? ?out|timeout", _("Le serveur d'envoi n'a pas répondu à temps.")),
    (r"ssl|certificate|starttls|tls", _("La connexion chiffrée au serveur d'envoi a échoué.")),
    (
        r"connection closed|disconnected|reset by peer|broken ?pipe|errno|unreachable|no route|oserror",
        _("La connexion au serveur d'envoi a été interrompue."),
    ),
    (r"authentication|535|534", _("Le serveur d'envoi refuse notre identification.")),
    (r"unicode|valueerror|codec", _("Le message ne peut pas être mis en forme pour cette adresse.")),
    (r"^4\d\d\b|\b4\.\d\.\d+\b", _("Son serveur ne prend pas le message pour l'instant.")),
    (r"^5\d\d\b|\b5\.\d\.\d+\b", _("Son serveur refuse ce message.")),
)
_OTHERWISE = _("L'envoi a échoué.")
# Codes that stand for an error of calls: `calls.requests` has their words.
CODES = {
    "MANUAL_CALL_SENT": _("Un appel manuel réussi a arrêté le rejeu automatique."),
}


def sentence(error: str, status: str, resolution: Mapping[str, Any] | None = None) -> str:
    """What an error means, in the active language; empty without one.

    Args:
        resolution: what the delivery keeps of its decision. Of a message that was never to leave, it has the reason,
            which is told in the language of the reader instead of that of the day it was written.
    """
    if not error:
        return ""
    if error in CODES:
        return force_str(CODES[error])
    decided = str((resolution or {}).get("reason") or "")
    if status == "not_sent" and decided in wording.REASONS:
        return wording.reason(decided, dict((resolution or {}).get("params") or {}))
    for pattern, meaning in _SAID:
        if re.search(pattern, error, re.IGNORECASE):
            return force_str(meaning)
    return force_str(_OTHERWISE)


def is_told(error: str, words: str) -> bool:
    """Whether the words are the error itself, so that it need not be shown twice."""
    return error.strip() == words.strip()
