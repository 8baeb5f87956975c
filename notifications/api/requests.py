"""What every resource asks of a request: the scope of its token, its query parameters, its body.

Bodies and parameters are read here and not by the framework, which takes `"19"` for an integer and answers 500 to a
lone surrogate.
"""

from collections.abc import Callable, Collection
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest
from django.http.request import UnreadablePostError
from django.utils import translation
from django.utils.translation import gettext as _

from companies.models import Company, reference_validator
from notifications.api.auth import company_of, lacks_scope
from notifications.api.problems import Problem, language_of, too_big
from notifications.events.intake import NotJson, parse_json
from notifications.models import ApiToken

CHALLENGE = 'Bearer realm="api"'


def ask_scope(request: HttpRequest, scope: ApiToken.Scope) -> None:
    """Raises Problem (403) when the token was not made for this."""
    if lacks_scope(request, scope):
        with translation.override(language_of(request)):
            detail = _("Ce jeton n'a pas la portée « %(scope)s » (%(code)s).") % {
                "scope": scope.label,
                "code": scope.value,
            }
        challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{scope.value}"'
        raise Problem(403, detail, headers={"WWW-Authenticate": challenge})


def company_named(request: HttpRequest, reference: str) -> Company:
    """The company of a path, within the token's. Raises Http404: another's reads exactly like an unknown one."""
    mine = company_of(request)
    companies = Company.objects.all() if mine is None else Company.objects.filter(pk=mine.pk)
    try:
        # What is no reference never reaches the database: PostgreSQL refuses some characters loudly.
        reference_validator(reference)
        return companies.get(reference=reference)
    except (ValidationError, Company.DoesNotExist) as error:
        raise Http404 from error


# --- Query parameters -----------------------------------------------------------------------------

# Takes the text of a parameter and returns its value; raises ValueError with the sentence to show.
Reader = Callable[[str], Any]


def parameters(request: HttpRequest, readers: dict[str, Reader], *, lists: Collection[str] = ()) -> dict[str, Any]:
    """The query parameters that were given, checked.

    Args:
        readers: name → reader of every parameter that the address takes.
        lists: those of them that may be repeated; their values come joined by commas.

    Raises Problem (422) naming every unknown, empty, repeated or malformed one.
    """
    errors: list[tuple[str, str]] = []
    given: dict[str, Any] = {}
    with translation.override(language_of(request)):
        for name, values in request.GET.lists():
            try:
                given[name] = _parameter(name, values, readers, lists)
            except ValueError as error:
                errors.append((name[:100], str(error)))
        if errors:
            raise Problem(422, "", errors=errors)
    return given


def _parameter(name: str, values: list[str], readers: dict[str, Reader], lists: Collection[str]) -> Any:
    if name not in readers:
        raise ValueError(_("paramètre inconnu."))
    if len(values) > 1 and name not in lists:
        raise ValueError(_("paramètre donné plusieurs fois."))
    text = ",".join(values)
    if not text.strip():
        raise ValueError(_("valeur vide : ôtez le paramètre pour ne pas filtrer."))
    return readers[name](text)


def no_parameters(request: HttpRequest) -> None:
    """Raises Problem (422) naming every query parameter of an address that takes none."""
    parameters(request, {})


# --- Bodies ---------------------------------------------------------------------------------------


def json_body(request: HttpRequest) -> Any:
    """The JSON document of a request; no more than the limit is ever read.

    Raises Problem: 400, 411, 413 or 415.
    """
    _check_content_type(request)
    raw = _raw_body(request)
    try:
        return parse_json(raw)
    except NotJson as error:
        raise Problem(400, str(error)) from error


def _check_content_type(request: HttpRequest) -> None:
    charset = (request.content_params or {}).get("charset", "utf-8").strip("\"'").lower()
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if request.content_type != "application/json" or charset not in ("utf-8", "utf8") or encoding != "identity":
        raise Problem(415, "")


def _raw_body(request: HttpRequest) -> bytes:
    limit = settings.API_MAX_BODY_BYTES
    stated = request.META.get("CONTENT_LENGTH") or ""  # checked by the middleware
    stream: Any = request
    wanted = int(stated or 0)
    if not stated and request.headers.get("Transfer-Encoding"):
        # The framework reads nothing without a length; the server marks a stream that ends by itself.
        if not request.META.get("wsgi.input_terminated"):
            raise Problem(411, "")
        stream = request.META["wsgi.input"]
        wanted = limit + 1
    raw = b""
    try:
        while len(raw) < wanted and (piece := stream.read(wanted - len(raw))):
            raw += piece
    except (UnreadablePostError, OSError) as error:
        raise Problem(400, _("Le contenu n'est pas arrivé en entier.")) from error
    if len(raw) > limit:
        raise too_big()
    if stated and len(raw) < wanted:
        raise Problem(400, _("Le contenu n'est pas arrivé en entier."))
    return raw
