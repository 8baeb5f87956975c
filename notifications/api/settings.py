"""`GET` and `PUT companies/{reference}`: the settings of a company as the document that `provision` takes.

Nobody overwrites what they have not read: a change names the version it was made on (`If-Match`), a creation says
that there is nothing yet (`If-None-Match: *`).
"""

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _
from ninja import Router

from backoffice.base import limits
from backoffice.provisioning import exporting, mail_servers, planning
from backoffice.provisioning.applying import provision_company
from backoffice.provisioning.work import ProvisioningError
from backoffice.schemas.plans import PlanOut
from backoffice.schemas.settings import CompanyDocument, count_objects
from companies.audit import Actor
from companies.models import Company, reference_validator
from companies.rights import readers
from notifications.api.auth import company_of, token_of
from notifications.api.describing import ACCEPT_LANGUAGE, described, parameter
from notifications.api.problems import Problem, answer, language_of
from notifications.api.requests import ask_scope, company_named, json_body, no_parameters, parameters
from notifications.models import ApiToken

router = Router()
_ETAG = {"ETag": {"schema": {"type": "string"}, "description": "The version, for If-Match."}}


@router.get(
    "/companies/{reference}",
    operation_id="settings_get",
    summary="The settings of a company, as the document that PUT takes",
    description="Without keys and passwords. `ETag` names the version.",
    response=CompanyDocument,
    by_alias=True,
    exclude_unset=True,
    openapi_extra=described(404, 422, parameters=[ACCEPT_LANGUAGE]),
)
def settings_get(request: HttpRequest, reference: str) -> HttpResponse:
    ask_scope(request, ApiToken.Scope.SETTINGS_READ)
    no_parameters(request)
    return _document(company_named(request, reference))


@router.put(
    "/companies/{reference}",
    operation_id="settings_put",
    summary="Change the settings of a company, or create one",
    description=(
        "Absent keys stay as they are, `null` clears, given lists of users, SFTP accounts, rules and addresses replace; "
        "shops and contracts that are absent are untouched. `If-Match` carries the ETag that was read; a platform token "
        "creates a company with `If-None-Match: *`. With `plan=true` nothing is written and the answer says what would be."
    ),
    response={200: CompanyDocument | PlanOut, 201: CompanyDocument},
    by_alias=True,
    exclude_unset=True,
    openapi_extra=described(
        400,
        404,
        412,
        413,
        415,
        422,
        428,
        parameters=[
            parameter("plan", {"type": "boolean", "default": False}, "Write nothing; answer what would change."),
            parameter("If-Match", {"type": "string"}, "The ETag of the document that was read.", place="header"),
            parameter("If-None-Match", {"type": "string", "enum": ["*"]}, "Create the company.", place="header"),
            ACCEPT_LANGUAGE,
        ],
        requestBody={
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CompanyDocument"}}},
        },
    ),
)
def settings_put(request: HttpRequest, reference: str) -> HttpResponse:
    ask_scope(request, ApiToken.Scope.SETTINGS_WRITE)
    is_plan = parameters(request, {"plan": _truth}).get("plan", False)
    with translation.override(language_of(request)):
        company = _company_or_none(request, reference)
        _check_condition(request, company, is_plan=is_plan)
        path, document = _own_document(json_body(request), reference)
        _check_accounts(document, company)
        change = _Change(company, reference, path, document, _actor(request), request.headers.get("If-Match", "*"))
        try:
            return change.planned() if is_plan else change.applied()
        except ProvisioningError as refused:
            raise Problem(422, "", errors=refused.problems) from refused


@dataclass(frozen=True)
class _Change:
    """A change of settings as the request gives it.

    Attributes:
        company: None for one that is to be created.
        path: where in the body its document stands.
        versions: those that the document was made on, as in `If-Match`.
    """

    company: Company | None
    reference: str
    path: str
    document: Any
    actor: Actor
    versions: str

    def planned(self) -> HttpResponse:
        """What the document would do. Raises Problem (412) like `applied`."""
        if self.company is not None:
            _check_version(self.company, self.versions)
        return answer(planning.plan_company(self.document, actor=self.actor, path=self.path).document)

    def applied(self) -> HttpResponse:
        """Apply the document and answer with the new one.

        Raises:
            Problem: 412 where the settings are no longer those that were read.
        """
        if self.company is not None:
            # Before a mail server is called for it.
            _check_version(self.company, self.versions)
        trials = mail_servers.trials([(self.path, self.document)], self.actor)
        with transaction.atomic():
            if self.company is not None:
                exporting.hold(self.company)
                self.company.refresh_from_db()
                _check_version(self.company, self.versions)
            elif Company.objects.filter(reference=self.reference).exists():
                raise Problem(412, _("Une société porte déjà cette référence."))
            provision_company(self.document, actor=self.actor, path=self.path, trials=trials)
            company = Company.objects.get(reference=self.reference)
            return _document(company, 200 if self.company is not None else 201)


def _document(company: Company, status: int = 200) -> HttpResponse:
    document = exporting.export(company)
    return answer(document, status, headers={"ETag": exporting.etag(document)}, only_given=True)


def _actor(request: HttpRequest) -> Actor:
    """The token, as the history names it: what it is for and how it begins."""
    token = token_of(request)
    name = f"API · {token.name} ({token.prefix}…)"
    return Actor.program(
        name, ip_address=request.META.get("REMOTE_ADDR") or None, merchant=token.company_id is not None
    )


def _company_or_none(request: HttpRequest, reference: str) -> Company | None:
    """The company of the path; None for one that a token of the platform may create. Raises Http404."""
    try:
        return company_named(request, reference)
    except Http404:
        if company_of(request) is None and request.headers.get("If-None-Match") is not None:
            _check_reference(reference)
            return None
        if request.headers.get("If-None-Match") is not None:
            detail = _("Seul un jeton de la plateforme crée une société.")
            raise Problem(403, detail) from None
        raise


def _check_reference(reference: str) -> None:
    """Raises Problem (422) for what no company can be called."""
    try:
        reference_validator(reference)
    except ValidationError as error:
        raise Problem(422, "", errors=[("reference", error.messages[0])]) from error


# --- Conditions -----------------------------------------------------------------------------------


def _check_condition(request: HttpRequest, company: Company | None, *, is_plan: bool) -> None:
    """Require the version that a change was made on; a plan changes nothing and needs none.

    Raises:
        Problem: 412 or 428.
    """
    wants_none = request.headers.get("If-None-Match")
    if wants_none is not None and wants_none.strip() != "*":
        raise Problem(428, _("If-None-Match ne prend que la valeur * ; pour modifier, envoyez If-Match."))
    if company is not None and wants_none is not None:
        raise Problem(412, _("Une société porte déjà cette référence."))
    if company is not None and not is_plan and request.headers.get("If-Match") is None:
        raise Problem(428, "")


def _check_version(company: Company, versions: str) -> None:
    """Raises Problem (412) where none of the versions is the present one (RFC 9110, 13.1.1)."""
    named = [tag.strip() for tag in versions.split(",")]
    if named != ["*"] and exporting.etag(exporting.export(company)) not in named:
        raise Problem(412, "")


# --- Bodies ---------------------------------------------------------------------------------------


def _truth(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError(_("true ou false est attendu"))
    return value == "true"


def _own_document(body: Any, reference: str) -> tuple[str, Any]:
    """(JSON path, document) of the company of the path; a file with that one company is taken as well.

    Raises Problem (422) where the body is about another one.
    """
    path, document = "", body
    if isinstance(body, dict) and set(body) == {"companies"}:
        companies = body["companies"]
        if not isinstance(companies, list) or len(companies) != 1:
            raise Problem(422, "", errors=[("companies", _("une seule société est attendue"))])
        path, document = "companies[0]", companies[0]
    named = document.get("reference", reference) if isinstance(document, dict) else reference
    if named != reference:
        where = f"{path}.reference".lstrip(".")
        raise Problem(422, "", errors=[(where, _("la référence n'est pas celle de l'adresse appelée"))])
    _check_size(document)
    return path, {"reference": reference, **document} if isinstance(document, dict) else document


def _check_accounts(document: Any, company: Company | None) -> None:
    """Raise Problem (413) if one request opens, changes or disables more accounts than allowed: each costs several
    statements.
    """
    listed = {kind: _listed(document, kind) for kind in ("users", "sftp_accounts")}
    if sum(len(accounts or ()) for accounts in listed.values()) + _count(company) <= limits.MAX_ACCOUNTS:
        return
    stored = _stored(company) if company is not None else {"users": {}, "sftp_accounts": {}}
    count = sum(_differing(accounts, stored[kind]) for kind, accounts in listed.items() if accounts is not None)
    if count > limits.MAX_ACCOUNTS:
        told = {"count": limits.grouped(count), "most": limits.grouped(limits.MAX_ACCOUNTS)}
        raise Problem(
            413, _("Le document ouvre ou modifie %(count)s comptes ; %(most)s au plus sont acceptés à la fois.") % told
        )


def _count(company: Company | None) -> int:
    """How many accounts there are already."""
    if company is None:
        return 0
    return readers.users_of(company).count() + readers.sftp_accounts_of(company).count()


def _listed(document: Any, kind: str) -> dict[str, dict[str, Any]] | None:
    """Login → account as given; None if the document has no such list, which leaves the accounts unchanged."""
    items = document.get(kind) if isinstance(document, dict) else None
    if not isinstance(items, list):
        return None
    return {str(item["login"]).lower(): item for item in items if isinstance(item, dict) and "login" in item}


def _stored(company: Company) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        "users": {one["login"].lower(): one for one in exporting.user_documents(company)},
        "sftp_accounts": {one["login"].lower(): one for one in exporting.sftp_documents(company)},
    }


def _differing(accounts: dict[str, dict[str, Any]], stored: dict[str, dict[str, Any]]) -> int:
    """How many accounts a list opens, changes or, by leaving them out, disables; nothing given is nothing stored."""
    changed = sum(
        login not in stored
        or any((stored[login].get(name) or None) != (value or None) for name, value in account.items())
        for login, account in accounts.items()
    )
    return changed + len([login for login, one in stored.items() if one["enabled"] and login not in accounts])


def _check_size(document: Any) -> None:
    """Raises Problem (413) for more objects than one request may write."""
    count = count_objects(document, CompanyDocument)
    if count > limits.MAX_DOCUMENT_OBJECTS:
        told = {"count": limits.grouped(count), "most": limits.grouped(limits.MAX_DOCUMENT_OBJECTS)}
        raise Problem(413, _("Le document compte %(count)s objets ; %(most)s au plus sont acceptés.") % told)
