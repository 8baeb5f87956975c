"""Which notification URLs may be saved: syntax, scheme, port, literal addresses, localhost names.

The address actually connected to is checked again when a call is made (DESIGN 5).
"""

import ipaddress
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MAX_LENGTH = 500
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".localdomain")


def check_url(url: str) -> str:
    """Return the URL trimmed; raise ValidationError that names it and says why it is refused."""
    typed = url.strip()

    def refuse(reason: str) -> ValidationError:
        shown = "".join(character if character.isprintable() else "�" for character in typed)[:120]
        return ValidationError(_("« %(url)s » : %(reason)s") % {"url": shown, "reason": reason}, code="invalid_url")

    if len(typed) > MAX_LENGTH:
        raise refuse(_("une URL compte au plus %(max)d caractères.") % {"max": MAX_LENGTH})
    if any(character.isspace() or not character.isprintable() or character == "\\" for character in typed):
        raise refuse(_("une URL ne contient ni espace, ni barre oblique inverse, ni caractère de contrôle."))
    try:
        parts = urlsplit(typed)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise refuse(_("ce n'est pas une URL valide.")) from None
    if parts.scheme not in ("http", "https"):
        raise refuse(_("une URL de notification commence par https:// ou http://."))
    if not host:
        raise refuse(_("l'URL n'a pas de nom de serveur."))
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise refuse(_("l'URL ne doit contenir ni identifiant ni mot de passe."))
    if settings.IPN_ALLOW_PRIVATE_NETWORKS:
        return typed
    if port is not None and port not in (80, 443) and not 1024 <= port <= 65535:
        raise refuse(_("le port %(port)d n'est pas autorisé.") % {"port": port})
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(_LOCAL_SUFFIXES):
        raise refuse(_("la plateforme appelle l'URL depuis ses serveurs : un nom local n'y mène pas."))
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        # Shorthand such as 127.1 or 0x7f000001 is read as an address by some resolvers.
        last = name.rpartition(".")[2]
        if last.isdigit() or last.startswith("0x"):
            raise refuse(_("ce n'est pas une URL valide.")) from None
        if "." not in name:
            raise refuse(_("la plateforme appelle l'URL depuis ses serveurs : un nom local n'y mène pas.")) from None
        return typed
    mapped = getattr(address, "ipv4_mapped", None) or address
    if not mapped.is_global or mapped.is_multicast:
        raise refuse(_("cette adresse appartient à un réseau privé ou réservé."))
    return typed
