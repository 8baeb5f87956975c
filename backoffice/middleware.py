"""Request-wide behaviour: proxy trust, security headers, language."""

from collections.abc import Callable
from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from companies import access
from companies.models import Role, User

GetResponse = Callable[[HttpRequest], HttpResponse]


class TrustedProxyMiddleware:
    """Sets REMOTE_ADDR from X-Forwarded-For as far as `TRUSTED_PROXY_COUNT` proxies vouch for it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        count = settings.TRUSTED_PROXY_COUNT
        forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
        if count and len(forwarded) >= count:
            request.META["REMOTE_ADDR"] = forwarded[-count]
        # What the client itself claims must not reach anything that reads the header.
        request.META.pop("HTTP_X_FORWARDED_FOR", None)
        return self.get_response(request)


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
        if not request.path.startswith(settings.STATIC_URL):
            # Pages show addresses and settings: nothing of them stays in a shared machine's cache.
            response.setdefault("Cache-Control", "no-store")
        return response


class LanguageMiddleware:
    """Page language: the user's setting, else the cookie of the switch, else French.

    `Accept-Language` is not asked on pages (DESIGN 7); the API does that itself.
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
    """Keeps staff and administrators at the door until they have set up a second factor.

    Off when `MFA_REQUIRED` is false. Others may use one, and are then asked for it at log-in.
    """

    # What stays open: setting it up, proving who one is, leaving, the language.
    OPEN = (
        "mfa_activate_totp",
        "mfa_reauthenticate",
        "account_reauthenticate",
        "account_login",
        "account_logout",
        "set_language",
        "livez",
        "readyz",
    )

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._open: frozenset[str] | None = None

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        asked = settings.MFA_REQUIRED and not self._is_open(request.path)
        if asked and isinstance(user, User) and self._lacks_second_factor(user):
            return redirect("mfa_activate_totp")
        return self.get_response(request)

    def _is_open(self, path: str) -> bool:
        if self._open is None:
            self._open = frozenset(map(reverse, self.OPEN))
        return path in self._open or path.startswith(settings.STATIC_URL)

    def _lacks_second_factor(self, user: User) -> bool:
        return not has_second_factor(user) and self.concerns(user)

    @staticmethod
    def concerns(user: Any) -> bool:
        """Whether the account is one that must have a second factor."""
        if not isinstance(user, User):
            return False
        return user.is_staff or user.memberships.filter(role=Role.ADMINISTRATOR).exists()


def has_second_factor(user: User) -> bool:
    return Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()
