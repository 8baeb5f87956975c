"""A form that is sent twice has one effect, and both requests get the same answer (docs/architecture.md).

Every form that posts carries an identity of its own (`{% csrf_token %}` renders it, so no form can lack it). The
first request that brings a form writes a row; the unique key of that row decides between two that come at the same
moment, on any number of processes. Who comes second waits, without a transaction, for the first one's answer and
repeats it: where it led, and the notices it left.

- The key is made of the identity, the address and all that was typed. A form that is changed and sent again is
  another one; so is one that was rendered again after an error.
- What changed nothing is not kept: it may be sent as often as one likes.
- A request without an identity comes from a program. Each such call counts, but the same content of the same
  account, or anonymous session, while the first still runs is taken for a second click.
- The answer is sealed under a key that only the sender of the form can name, and a page is given again for
  `PAGE_IS_KEPT` only: it may show a key that is shown once. Later, and where an answer could not be kept, a page
  says that the form was received.
"""

import hashlib
import json
import re
import secrets
import time
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.contrib import messages
from django.contrib.messages import get_messages
from django.contrib.messages.storage.cookie import MessageDecoder, MessageEncoder
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.http import url_has_allowed_host_and_scheme

from backoffice.base import crypto
from companies.models import Submission
from companies.sessions import session_of

log = structlog.get_logger(__name__)

FIELD = "submission"
_IDENTITY = re.compile(r"[A-Za-z0-9_-]{16,64}")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

# How long the second one waits for the first, in seconds; no request of ours takes that long.
WAITS = 20.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25
# A request that has not answered by then has died with its process, and has committed nothing.
GIVEN_UP_AFTER = timedelta(seconds=90)
PAGE_IS_KEPT = timedelta(minutes=2)
LARGEST_PAGE = 256 * 1024

# Checked anew each time: they open and close sessions, or only set a preference.
NEVER_REPEATED = frozenset(
    {
        "account_login",
        "account_logout",
        "mfa_authenticate",
        "mfa_login_webauthn",
        "set_language",
        "switch_company",
    }
)
# A link or code that works once is used by one request, two programs that hold it are two users of it; and each
# session proves for itself who is there.
EACH_CALL_COUNTS = frozenset(
    {
        "account_login_link",
        "account_reauthenticate",
        "account_set_password",
        "mfa_activate_totp",
        "mfa_reauthenticate",
        "mfa_reauthenticate_webauthn",
        "sftp_reveal",
    }
)

_WRITES = re.compile(r"^\s*(?:INSERT(?:\s+OR\s+\w+)?\s+INTO|UPDATE|DELETE\s+FROM)\s+\"?(\w+)", re.I)
# What every visit leaves.
_TRACES = frozenset(
    {
        "companies_session",
        "companies_submission",
        "companies_loginrecord",
        "companies_knowndevice",
        "shared_cache",
        "spare_cache",
    }
)

GetResponse = Callable[[HttpRequest], HttpResponse]


def new_identity() -> str:
    """A new identity for one rendering of a form."""
    return secrets.token_urlsafe(16)


# --- One submission -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Content:
    """What was sent: the key of its row, and of the answer in it.

    Attributes:
        has_identity: it is a form of ours; False for what a program sent.
    """

    material: str
    has_identity: bool

    @property
    def key(self) -> str:
        return salted_hmac("companies.submissions", self.material, algorithm="sha256").hexdigest()

    def seal(self, answer: dict[str, Any]) -> str:
        return crypto.seal(zlib.compress(json.dumps(answer).encode()), self._secret)

    def open(self, stored: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(zlib.decompress(crypto.open_sealed(stored, self._secret)))
        return answer

    @property
    def _secret(self) -> bytes:
        return salted_hmac("backoffice.submissions.answer", self.material, algorithm="sha256").digest()


@dataclass
class Claim:
    """The right to carry out a submission, and what came of it.

    Attributes:
        has_effect: something was changed, or will be once the answer has left.
        answer: what the next one gets; None where it cannot be given again.
    """

    content: Content
    row: uuid.UUID
    has_effect: bool = False
    answer: dict[str, Any] | None = field(default=None, repr=False)

    def finish(self) -> None:
        """Record what the next one gets; one statement."""
        mine = Submission.objects.filter(pk=self.row)
        try:
            if not self.has_effect:
                mine._raw_delete(mine.db)
                return
            sealed = "" if self.answer is None else self.content.seal(self.answer)
            # Those who wait know the row; its key is free again for what a program sends next.
            freed = {} if self.content.has_identity else {"key": self.row.hex}
            mine.update(answered_at=timezone.now(), answer=sealed, **freed)
        except DatabaseError:
            # The answer is right whatever becomes of the row, which is given up in time.
            log.exception("submission_not_recorded")


def content_of(request: HttpRequest) -> Content | None:
    """What a request sends; None when it is not to be recognised. Takes the identity out of `request.POST`."""
    if request.content_type not in _FORMS:
        return None
    name = (request.resolver_match and request.resolver_match.view_name) or ""
    identity = request.POST.get(FIELD, "")
    if FIELD in request.POST:
        # No view, and no page that repeats what was typed, has to know of it.
        rest = request.POST.copy()
        del rest[FIELD]
        rest._mutable = False
        request.POST = rest  # type: ignore[assignment]
    if name in NEVER_REPEATED or _only_asks(request):
        return None
    address = request.get_full_path()
    if _IDENTITY.fullmatch(identity):
        return Content(json.dumps(["form", identity, address, _digest(request)]), True)
    whose = _visitor(request) or session_of(request).session_key or request.COOKIES.get(settings.CSRF_COOKIE_NAME)
    if whose is None or name in EACH_CALL_COUNTS:
        return None
    return Content(json.dumps(["call", whose, address, _digest(request)]), False)


def _only_asks(request: HttpRequest) -> bool:
    """Whether the request is a preview fetched while typing, which changes nothing."""
    return "HX-Request" in request.headers and ("part" in request.GET or "audience" in request.GET)


def _digest(request: HttpRequest) -> str:
    typed = [[name, values] for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"]
    digest = hashlib.sha256(json.dumps(typed).encode())
    for name, files in request.FILES.lists():
        for file in files:
            digest.update(json.dumps([name, file.name, file.size]).encode())
            for chunk in file.chunks():
                digest.update(chunk)
            file.seek(0)
    return digest.hexdigest()


# --- Who is first ---------------------------------------------------------------------------------


def begin(request: HttpRequest) -> HttpResponse | None:
    """Claim the submission of a request, None then; or the answer that the first one got."""
    content = content_of(request)
    if content is None:
        return None
    until = time.monotonic() + WAITS
    while True:
        row = Submission(key=content.key)
        if _inserted(row):
            request.submission = Claim(content, row.pk)  # type: ignore[attr-defined]
            return None
        known = _awaited(content.key, until)
        if known is not None and known.answered_at is not None:
            return _repeated(request, content, known)
        if time.monotonic() >= until:
            return _received(request, running=True)


def _inserted(row: Submission) -> bool:
    """Insert the row of a new key; False where the key is taken."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return False
    return True


def _awaited(key: str, until: float) -> Submission | None:
    """The row of the first request once that has answered; unanswered when the time is over, None when it left nothing."""
    pause = _FIRST_PAUSE
    known = Submission.objects.filter(key=key).first()
    while known is not None and known.answered_at is None and time.monotonic() < until:
        given_up = timezone.now() - GIVEN_UP_AFTER
        if known.started_at < given_up:
            Submission.objects.filter(pk=known.pk, answered_at=None, started_at__lt=given_up).delete()
            return None
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
        # By its own name: the key may be free by then.
        known = Submission.objects.filter(pk=known.pk).first()
    return known


# --- The answer -----------------------------------------------------------------------------------


def keep(request: HttpRequest, response: HttpResponse, *, changed: bool) -> None:
    """Note at the claim of a request what the next one gets.

    Args:
        changed: whether the request has changed anything.
    """
    claim: Claim = request.submission  # type: ignore[attr-defined]
    # A refusal may be sent again, and so may a request for a file: the page with its form stays open.
    harmless = 400 <= response.status_code < 500 or response.streaming or "Content-Disposition" in response.headers
    claim.has_effect = (claim.has_effect or changed) and not harmless
    if not claim.has_effect or response.status_code >= 500:
        return
    if claim.content.has_identity and "HX-Request" in request.headers:
        # The form stays on the page. What is sent from it next is meant anew.
        response.headers["Submission"] = new_identity()
    is_page = not 300 <= response.status_code < 400
    if is_page and len(response.content) > LARGEST_PAGE:
        return
    claim.answer = {
        "visitor": _visitor(request),
        "status": response.status_code,
        "headers": dict(response.headers),
        "page": response.content.decode(response.charset, "replace") if is_page else None,
        "nonce": getattr(request, "_csp_nonce", ""),
        # On a page they have been shown.
        "notices": "" if is_page else _notices(request),
    }


def answers_later(request: HttpRequest) -> None:
    """For a view whose work is done after its answer has left: the answer counts as that of a change."""
    claim = getattr(request, "submission", None)
    if claim is not None:
        claim.has_effect = True


def _visitor(request: HttpRequest) -> int | None:
    return request.user.pk if request.user.is_authenticated else None


def _notices(request: HttpRequest) -> str:
    queued = get_messages(request)._queued_messages  # type: ignore[union-attr]
    for message in queued:
        # A sentence that waits for its language is one of this answer.
        message._prepare()
    return MessageEncoder().encode(queued) if queued else ""


def _repeated(request: HttpRequest, content: Content, row: Submission) -> HttpResponse | None:
    """The answer of the first request; None if another user has logged in since."""
    try:
        answer = content.open(row.answer) if row.answer else None
    except (crypto.DecryptionError, zlib.error, ValueError):
        answer = None
    if answer is not None and answer["visitor"] not in (None, _visitor(request)):
        return None
    late = row.answered_at is None or row.answered_at < timezone.now() - PAGE_IS_KEPT
    if answer is None or (answer["page"] is not None and late):
        return _received(request, running=False)
    response: HttpResponse
    if answer["page"] is None:
        response = HttpResponseRedirect(answer["headers"]["Location"])
        _tell_again(request, answer["notices"])
    else:
        page = answer["page"]
        if answer["nonce"] and answer["nonce"] in page:
            page = page.replace(answer["nonce"], str(request.csp_nonce))  # type: ignore[attr-defined]
        response = HttpResponse(page)
    response.status_code = answer["status"]
    for name, value in answer["headers"].items():
        response.headers[name] = value
    return response


def _tell_again(request: HttpRequest, notices: str) -> None:
    """Leave the notices of the first answer for the page that follows, those that still wait there excepted."""
    session = session_of(request)
    if not notices or session.session_key is None or not session.exists(session.session_key):
        return
    # As the first one left it; what this request read before would undo that.
    session.__dict__.pop("_session_cache", None)
    waiting: Any = get_messages(request)
    waiting.__dict__.pop("_loaded_data", None)
    there = {(one.level, str(one.message)) for one in waiting._loaded_messages}
    for notice in MessageDecoder().decode(notices):
        if (notice.level, str(notice.message)) not in there:
            messages.add_message(request, notice.level, notice.message, notice.extra_tags)


def _received(request: HttpRequest, *, running: bool) -> HttpResponse:
    """The page for a form that was received and whose answer is no longer available."""
    came_from = request.headers.get("Referer", "")
    ours = url_has_allowed_host_and_scheme(came_from, {request.get_host()}, require_https=request.is_secure())
    context = {"running": running, "back": came_from if ours else "/"}
    response = render(request, "submission_received.html", context, status=409)
    if running:
        response.headers["Retry-After"] = "30"
    return response


# --- Around every request -------------------------------------------------------------------------


class _Changes:
    """Record which statements of a request changed something permanently."""

    def __init__(self) -> None:
        self._is_committed = False
        self._mark = self._commit

    def _commit(self) -> None:
        self._is_committed = True

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        match = None if self._is_committed else _WRITES.match(str(sql))
        if match and match[1].lower() not in _TRACES:
            if not connection.in_atomic_block:
                self._commit()
            elif connection.run_on_commit[-1:] != [(set(connection.savepoint_ids), self._mark, False)]:  # type: ignore[comparison-overlap]
                # Forgotten again when the transaction, or the part of it, is rolled back.
                transaction.on_commit(self._mark)
        return result

    @property
    def any(self) -> bool:
        # A test may hold the transaction open.
        return self._is_committed or any(entry[1] is self._mark for entry in connection.run_on_commit)


class SubmissionMiddleware:
    """Innermost: nothing is claimed before all checks of the others have passed."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not _concerns(request):
            return self.get_response(request)
        changes = _Changes()
        with connection.execute_wrapper(changes):
            response = self.get_response(request)
        if hasattr(request, "submission"):
            keep(request, response, changed=changes.any)
        return response

    def process_view(self, request: HttpRequest, *args: Any) -> HttpResponse | None:
        return begin(request) if _concerns(request) else None


class SubmissionAnsweredMiddleware:
    """Outside the sessions: an answer is given again once the session that it left is stored."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        claim = getattr(request, "submission", None)
        if claim is not None:
            claim.finish()
        return response


def _concerns(request: HttpRequest) -> bool:
    # The API has identities of its own: those of events.
    return request.method == "POST" and not request.path.startswith("/api/")
