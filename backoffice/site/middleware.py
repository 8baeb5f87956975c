"""Request-wide behaviour: proxy trust, security headers, language."""

import ipaddress
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.middleware import SessionMiddleware as LibrarySessionMiddleware
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from backoffice.base import limits
from companies.models import User
from companies.rights import access, permissions
from companies.security import has_second_factor
from companies.sessions import USER_AGENT_LENGTH, session_of

GetResponse = Callable[[HttpRequest], HttpResponse]


class TrustedProxyMiddleware:
    """Sets REMOTE_ADDR from X-Forwarded-For as far as `TRUSTED_PROXY_COUNT` proxies vouch for it.

    Whether the request came straight from whoever sent it stays known (`came_directly`).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        count = settings.TRUSTED_PROXY_COUNT
        request.META[_DIRECT] = not any(name in request.META for name in _FORWARDING)
        forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
        if count and len(forwarded) >= count and (address := _ip_address(forwarded[-count])):
            request.META["REMOTE_ADDR"] = address
        # What the client itself claims must not reach anything that reads the header.
        request.META.pop("HTTP_X_FORWARDED_FOR", None)
        return self.get_response(request)


# What proxies add to what they pass on; whoever typed it is no direct visitor either.
_FORWARDING = tuple(
    f"HTTP_{name}"
    for name in (
        "FORWARDED", "VIA", "X_REAL_IP", "X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "X_FORWARDED_PORT",
        "X_FORWARDED_SERVER", "X_FORWARDED_BY", "X_FORWARDED_SSL", "X_CLIENT_IP", "X_ORIGINAL_FORWARDED_FOR", "X_ORIGINAL_HOST",
        "X_CLUSTER_CLIENT_IP", "X_REQUEST_START", "X_SCHEME", "TRUE_CLIENT_IP", "CF_CONNECTING_IP", "FASTLY_CLIENT_IP",
        "X_AMZN_TRACE_ID", "X_CLOUD_TRACE_CONTEXT", "X_ENVOY_EXTERNAL_ADDRESS", "CDN_LOOP",
    )
)  # fmt: skip
_DIRECT = "backoffice.came_directly"


def came_directly(request: HttpRequest) -> bool:
    """Whether no proxy has passed the request on, as far as headers tell: REMOTE_ADDR is then who sent it."""
    return bool(request.META.get(_DIRECT, False))


def _ip_address(text: str) -> str | None:
    """An address as proxies write it, with or without a port; None for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


class SessionMiddleware(LibrarySessionMiddleware):
    """Sessions that know the device they belong to, and when it was last there.

    When one ends, the browser is told to forget what it kept of the pages.
    """

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        session_of(request).device = {
            "ip_address": _ip_address(request.META.get("REMOTE_ADDR", "")),
            "user_agent": request.headers.get("User-Agent", "")[:USER_AGENT_LENGTH],
        }

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response = super().process_response(request, response)
        session = session_of(request)
        if session.is_of_a_user and response.status_code < 500:
            session.touch()
        if session.is_over or (session.is_of_a_user and SESSION_KEY not in session):
            # Not the cookies: the language and the mark of a known browser stay.
            response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response


class AddressTooLong(SuspiciousOperation):
    """An address, or its query, over `limits.LONGEST_QUERY`."""


class PlainQueryMiddleware:
    """Refuses addresses of absurd length, and puts the replacement character for NUL in the queries of pages.

    A page carries its query along in its links, so a long one costs many times its length. PostgreSQL refuses
    NUL in any text, and nobody means one. The API names it as an error instead.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        query = request.META.get("QUERY_STRING", "")
        if len(query) > limits.LONGEST_QUERY or len(request.path) > limits.LONGEST_QUERY:
            raise AddressTooLong
        if "%00" in query and not request.path.startswith("/api/"):
            request.META["QUERY_STRING"] = query.replace("%00", "%EF%BF%BD")
        return self.get_response(request)


class PageMethodsMiddleware:
    """Answer 405 to every method but GET, HEAD and POST, before anything else is looked at.

    The framework's and the log-in library's own views would take PUT or DELETE for a POST. The API says
    for itself what each of its addresses takes.
    """

    ALLOWED = ("GET", "HEAD", "POST")

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in self.ALLOWED or request.path.startswith("/api/"):
            return self.get_response(request)
        return HttpResponseNotAllowed(self.ALLOWED)


class HeadersMiddleware:
    """Headers that the framework has no setting for."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault(
            "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=(), interest-cohort=()"
        )
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        # The framework sets these four too, but not on what is answered before its turn.
        response.setdefault("X-Content-Type-Options", "nosniff")
        response.setdefault("Referrer-Policy", settings.SECURE_REFERRER_POLICY)
        response.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        if settings.SECURE_HSTS_SECONDS and request.is_secure():
            response.setdefault(
                "Strict-Transport-Security", f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
            )
        if not request.path.startswith(settings.STATIC_URL):
            # Pages show addresses and settings: nothing of them stays in a shared machine's cache.
            response.setdefault("Cache-Control", "no-store")
        return response


class LanguageMiddleware:
    """Page language: the user's setting, else the cookie of the switch, else French.

    `Accept-Language` is not asked on pages (docs/rules.md 7.4); the API does that itself.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        language = getattr(request.user, "language", "") or request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
        if language not in dict(settings.LANGUAGES):
            language = settings.LANGUAGE_CODE
        with translation.override(language):
            request.LANGUAGE_CODE = language
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", translation.get_language() or language)
        patch_vary_headers(response, ("Cookie",))
        return response


class TimeZoneMiddleware:
    """Times on pages: in the user's own zone, else in the company's."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        name = getattr(user, "time_zone", "")
        if not name and isinstance(user, User):
            membership = access.current_membership(request)
            name = membership.company.time_zone if membership else ""
        with timezone.override(name or settings.TIME_ZONE):
            return self.get_response(request)


class SecondFactorMiddleware:
    """Require a second factor of the team and of users who manage accounts or keys.

    These are the platform's team, and whoever manages users or keys of a company or shop: administrators
    and accounts with such a permission of their own. Others may use a second factor, and are then asked
    for it at log-in. Off when `MFA_REQUIRED` is false.
    """

    # What stays open: setting it up, proving who one is, leaving, the language.
    OPEN = (
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "mfa_reauthenticate",
        "mfa_reauthenticate_webauthn",
        "account_reauthenticate",
        "account_login",
        "account_logout",
        "set_language",
        "livez",
        "readyz",
    )
    CONCERNED = (permissions.MANAGE_USERS, permissions.MANAGE_KEYS)

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._open: frozenset[str] | None = None

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        asked = settings.MFA_REQUIRED and not self._is_open(request.path)
        if asked and isinstance(user, User) and not has_second_factor(user) and self.concerns(user):
            return redirect("mfa_activate_totp")
        return self.get_response(request)

    def _is_open(self, path: str) -> bool:
        if self._open is None:
            self._open = frozenset(map(reverse, self.OPEN))
        return path in self._open or path.startswith(settings.STATIC_URL)

    @classmethod
    def concerns(cls, user: Any) -> bool:
        """Whether the account is one that must have a second factor."""
        if not isinstance(user, User):
            return False
        return user.is_staff or any(
            access.can_somewhere(membership, permission)
            for membership in access.memberships(user)
            for permission in cls.CONCERNED
        )
