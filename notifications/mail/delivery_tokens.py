"""The signature of links in mails: the key of the delivery, for one purpose."""

import uuid

from django.core import signing


def read(token: str, salt: str) -> uuid.UUID | None:
    """The key of the delivery that a token names; None for one that is not ours.

    Args:
        salt: of the purpose; a link of another one is not ours.
    """
    try:
        return uuid.UUID(hex=signing.Signer(salt=salt, sep=".").unsign(token))
    except (signing.BadSignature, ValueError):
        return None
