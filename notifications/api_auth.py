"""Bearer tokens of the API: their form, their digest, and who is behind a request.

Only the SHA-256 of a token is stored. A token has 256 bits of chance, so a fast digest is enough:
there is nothing to guess.
"""

import hashlib
import hmac
import secrets
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja.security.base import AuthBase

from .models import ApiToken

TOKEN_MARK = "bom_"  # noqa: S105 (lets scanners of leaked secrets recognise one)
LONGEST = 200


def new_token() -> str:
    return TOKEN_MARK + secrets.token_urlsafe(32)


def token_hash(text: str) -> str:
    """What is stored of a token: hex SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def check_token(text: str) -> ApiToken | None:
    """The token behind the text, or None when it is unknown, expired or revoked."""
    if not text or len(text) > LONGEST:
        return None
    digest = token_hash(text)
    token = ApiToken.objects.select_related("company").filter(token_hash=digest).first()
    if token is None or not hmac.compare_digest(token.token_hash, digest):
        return None
    return token if token.is_valid(timezone.now()) else None


class BearerToken(AuthBase):
    """`Authorization: Bearer …` and nothing else: no session, no cookie, no query parameter.

    Not the class of the framework, which writes an unexpected header to the log.
    """

    openapi_type: str = "http"
    openapi_scheme: str = "bearer"

    def __call__(self, request: HttpRequest) -> ApiToken | None:
        from .tokens import token_note_use

        scheme, _sep, text = request.headers.get("Authorization", "").partition(" ")
        token = check_token(text.strip()) if scheme.lower() == "bearer" else None
        if token is not None:
            token_note_use(token=token, now=timezone.now(), ip_address=request.META.get("REMOTE_ADDR") or None)
        return token


def company_of(request: HttpRequest) -> Any:
    """The only company the caller may speak for and read of; None for the platform."""
    token: ApiToken = request.auth  # type: ignore[attr-defined]
    return token.company


def lacks_scope(request: HttpRequest, scope: str) -> bool:
    """Whether the token behind the request was not made for this."""
    token: ApiToken = request.auth  # type: ignore[attr-defined]
    return scope not in token.allowed
