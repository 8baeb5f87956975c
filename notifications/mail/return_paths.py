"""The envelope sender of each mail: where a notice about it comes back to (VERP).

With `BOUNCE_ADDRESS` it names the delivery and is signed, so that a notice sent there is about a mail that really left
here, whoever wrote it: `bounce+<delivery>.<signature>@backoffice.example`.
"""

import base64
import hashlib
import hmac
import re
import uuid
from functools import lru_cache

from django.conf import settings
from django.utils.crypto import constant_time_compare

from backoffice.base import configuration

SALT = "notifications.mail.return_paths"
# Of the signature, 80 bits; with the key of the delivery, the part before the @ stays within 64 characters.
_SIGNS = 16
_TAGGED = re.compile(rf"\A<?([^\s<>@+]+)\+([0-9a-f]{{32}})\.([a-z2-7]{{{_SIGNS}}})@([^\s<>@]+?)>?\Z", re.IGNORECASE)


def is_on() -> bool:
    """Whether each mail has an envelope sender of its own for notices."""
    return bool(settings.BOUNCE_ADDRESS)


def of_delivery(delivery: uuid.UUID) -> str:
    """The envelope sender of one mail. SettingError where `BOUNCE_ADDRESS` cannot be used."""
    local, _at, host = configuration.bounce_address("BOUNCE_ADDRESS", settings.BOUNCE_ADDRESS).rpartition("@")
    return f"{local}+{delivery.hex}.{_signature(delivery.hex, settings.SECRET_KEY)}@{host}"


def read(address: str) -> uuid.UUID | None:
    """The delivery that an envelope address names; None for one that we have not signed."""
    match = _TAGGED.match(address.strip()) if is_on() else None
    if match is None:
        return None
    local, key, signature, host = (part.lower() for part in match.groups())
    mine = configuration.bounce_address("BOUNCE_ADDRESS", settings.BOUNCE_ADDRESS).lower()
    if f"{local}@{host}" != mine:
        return None
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    is_ours = any(constant_time_compare(signature, _signature(key, secret)) for secret in keys)
    return uuid.UUID(hex=key) if is_ours else None


def _signature(key: str, secret: str) -> str:
    mac = _keyed(secret).copy()
    mac.update(key.encode())
    # Letters and digits without case: some servers write what comes back in capitals.
    return base64.b32encode(mac.digest()).decode("ascii").lower()[:_SIGNS]


@lru_cache(maxsize=8)
def _keyed(secret: str) -> hmac.HMAC:
    """As the framework's `salted_hmac`, to be copied: making one anew takes longer than all else of an address."""
    return hmac.new(hashlib.sha256(f"{SALT}{secret}".encode()).digest(), digestmod="sha256")
