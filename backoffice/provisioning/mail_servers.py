"""A company's own mail server in a document: tried before the transaction of the document, kept within it.

As on the page: the same ports and addresses, the same dialogue, and a stored password holds for the same server and user only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pydantic
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from backoffice.provisioning.work import Work
from backoffice.schemas.settings import CompanyDocument, MailServerDocument
from companies import audit
from companies.audit import Actor
from companies.models import Company
from notifications.models import CompanyRelay
from notifications.outbox import relays


def _defaults() -> dict[str, Any]:
    blank = CompanyRelay()
    return {name: getattr(blank, name) for name in relays.FIELDS}


@dataclass(frozen=True)
class Trial:
    """What came of the server that a document names.

    Attributes:
        relay: the one to keep; None where nothing is to be done, or it is refused.
        seen: the state that it was compared with.
        refusal: why it is not kept.
        is_left_out: an export has no password, so a new company begins without its server.
    """

    relay: CompanyRelay | None = None
    seen: str = ""
    refusal: ValidationError | None = None
    is_left_out: bool = False


Trials = dict[str, Trial]


def trials(documents: Iterable[tuple[str, Any]], actor: Actor) -> Trials:
    """Path of a company's document → what came of the server that it names; for who holds no transaction."""
    outcomes: Trials = {}
    for path, item in documents:
        given = item.get("mail_server") if isinstance(item, dict) else None
        reference = item.get("reference") if isinstance(item, dict) else None
        if not isinstance(given, dict) or not isinstance(reference, str):
            continue
        try:
            document = MailServerDocument.model_validate(given)
        except pydantic.ValidationError:
            # Refused with all the rest, where it is read.
            continue
        outcomes[path] = _trial(document, Company.objects.filter(reference=reference).first(), actor)
    return outcomes


def _trial(document: MailServerDocument, company: Company | None, actor: Actor) -> Trial:
    known = relays.of_company(company) if company is not None else None
    values = {name: getattr(known, name) for name in relays.FIELDS} if known is not None else _defaults()
    values |= document.given(*relays.FIELDS)
    password = (document.password or "") if document.has("password") else None
    if company is None and values["username"] and not password:
        return Trial(is_left_out=True)
    seen = relays.stamp(known)
    try:
        relay = relays.prepared(
            actor=actor, company=company or Company(), known=known, values=values, password=password
        )
        if known is not None and not relays.changes_of(known, relay):
            return Trial()
        relays.try_out(relay)
    except ValidationError as refusal:
        return Trial(refusal=refusal)
    return Trial(relay, seen)


def mail_server_apply(work: Work, path: str, company: Company, document: CompanyDocument) -> bool:
    """Keep the server of a document, or go back to the platform's; whether anything changed."""
    if not document.has("mail_server"):
        return False
    if document.mail_server is None:
        return relays.remove(actor=work.actor, company=company)
    trial = work.trials.get(path, Trial())
    where, given = f"{path}.mail_server", document.mail_server.given()
    if trial.is_left_out:
        work.notes.append(
            (where, _("laissé de côté : un export n'a pas de mot de passe. Indiquez-le pour l'utiliser."))
        )
    if trial.refusal is not None:
        with work.guarded(where, given):
            raise trial.refusal
    if trial.relay is None:
        return False
    try:
        with work.guarded(where, given):
            relays.keep(actor=work.actor, company=company, relay=trial.relay, seen=trial.seen)
            return True
    except audit.StaleVersion:
        work.refuse(where, _("quelqu'un d'autre l'a modifié entre-temps"))
    return False
