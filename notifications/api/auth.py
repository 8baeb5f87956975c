"""Bearer tokens of the API: their form, their digest, and who is behind a request.

Only the SHA-256 of a token is stored. A token has 256 bits of chance, so a fast digest is enough:
there is nothing to guess.
"""

import hmac

from django.http import HttpRequest
from django.utils import timezone
from ninja.security.base import AuthBase

from companies.models import Company
from notifications.models import ApiToken
from notifications.tokens import token_hash, token_note_use

LONGEST = 200


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
        scheme, _sep, text = request.headers.get("Authorization", "").partition(" ")
        token = check_token(text.strip()) if scheme.lower() == "bearer" else None
        if token is not None:
            token_note_use(token=token, now=timezone.now(), ip_address=request.META.get("REMOTE_ADDR") or None)
        return token


def token_of(request: HttpRequest) -> ApiToken:
    """The token behind a request that has passed."""
    token: ApiToken = request.auth  # type: ignore[attr-defined]
    return token


def company_of(request: HttpRequest) -> Company | None:
    """The only company the caller may speak for and read of; None for the platform."""
    return token_of(request).company


def lacks_scope(request: HttpRequest, scope: str) -> bool:
    """Whether the token behind the request was not made for this."""
    return scope not in token_of(request).allowed
