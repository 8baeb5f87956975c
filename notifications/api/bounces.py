"""`/api/v1/bounces/<provider>/`: what providers of mail tell about undelivered mail. No token: each proves itself."""

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from notifications.api.problems import Problem, problem_response
from notifications.health import providers

log = structlog.get_logger(__name__)


@csrf_exempt
def provider_notice(request: HttpRequest, provider: str) -> HttpResponse:
    """Record a provider's notice; 404 for a provider without a configured secret."""
    if not providers.is_on(provider):
        return problem_response(request, Problem(404, ""))
    if request.method == "HEAD":
        # Some ask whether anybody is there before they let the address be saved.
        return HttpResponse()
    if request.method != "POST":
        return problem_response(request, Problem(405, "", headers={"Allow": "HEAD, POST"}))
    try:
        noted = providers.note(provider, request)
    except providers.NotBelieved as error:
        log.warning("provider_not_believed", provider=provider, error=str(error)[:200])
        told = _("La demande ne prouve pas qu'elle vient de ce fournisseur.")
        return problem_response(request, Problem(403, told))
    except providers.Unreadable as error:
        log.warning("provider_unreadable", provider=provider, error=str(error)[:200])
        return problem_response(request, Problem(422, _("Le contenu n'est pas un avis que nous connaissons.")))
    return JsonResponse(vars(noted))
