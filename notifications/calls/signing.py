"""Signatures of notification calls, as receivers check them (docs/ipn.md).

Pure: no database, no settings, no clock.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

HMAC_SHA_256 = "HMAC-SHA-256"
SHA_1 = "SHA-1"
ALGORITHMS = (HMAC_SHA_256, SHA_1)
PREFIX = "vads_"


def form_signature(fields: Mapping[str, str], key: str, algorithm: str) -> str:
    """The `signature` of a form call.

    The values of the fields whose name starts with `vads_`, in the order of their names, and the
    key, joined by `+`; then Base64 of the HMAC-SHA-256 of that text under the same key, or the
    hexadecimal SHA-1 of it. All in UTF-8.

    Args:
        fields: name and value of every field sent; those without the prefix are not signed.
        key: the shop's key of the mode (`vads_ctx_mode`) of the call.
        algorithm: "HMAC-SHA-256", or "SHA-1" where the shop still chose it.

    Raises:
        ValueError: another algorithm.
    """
    return signature_of([fields[name] for name in sorted(fields) if name.startswith(PREFIX)], key, algorithm)


def signature_of(values: list[str], key: str, algorithm: str) -> str:
    """The `signature` over the values of the signed fields, which are in the order of their names already."""
    message = "+".join([*values, key]).encode()
    if algorithm == HMAC_SHA_256:
        return base64.b64encode(hmac.digest(key.encode(), message, "sha256")).decode("ascii")
    if algorithm == SHA_1:
        # Not a choice of ours: receivers of shops that never changed their algorithm know no other.
        return hashlib.sha1(message).hexdigest()  # noqa: S324
    raise ValueError(f"unknown signature algorithm: {algorithm}")


def rest_hash(answer_text: str, key: str) -> str:
    """The `kr-hash` of a REST call: hexadecimal HMAC-SHA-256 of the text of `kr-answer`.

    Args:
        answer_text: the JSON exactly as sent.
        key: for notifications, the shop's REST password of the mode.
    """
    return hmac.digest(key.encode(), answer_text.encode(), "sha256").hex()
