"""Applying documents: one transaction each; all errors are collected before anything is refused."""

from collections.abc import Callable
from typing import Any

from django.db import transaction

from backoffice.provisioning import companies, mail_servers
from backoffice.provisioning.work import ProvisioningError, Report, Work
from companies.audit import Actor
from notifications.health import verification


def provision(
    document: Any,
    *,
    notify: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Apply a decoded provisioning file in one transaction. The same file twice writes nothing.

    Args:
        notify: publish shop and account creations and changes, and 3D Secure activations; ask new addresses to confirm
            themselves where their company wants that.
        progress: called with (shops done, shops in the file).

    Raises:
        ProvisioningError: nothing was written.
    """
    work = Work(Actor.command("provision"), notify, progress)
    documents = companies.listed(work, document)
    work.trials = mail_servers.trials(documents, work.actor)
    with transaction.atomic(), verification.silent(wanted=not notify):
        for path, item in documents:
            companies.company_apply(work, path, item)
        if work.errors:
            raise ProvisioningError(work.errors)
    return _told(work)


def provision_company(
    document: Any, *, actor: Actor, path: str = "", trials: mail_servers.Trials | None = None
) -> Report:
    """Apply the document of one company, as `provision` does each of a file.

    Args:
        trials: what came of its mail server, from who holds a transaction by now.
        path: where in the caller's document it stands, for the JSON paths of errors.

    Raises:
        ProvisioningError: nothing was written.
    """
    work = Work(actor, total_shops=companies.count_shops(document))
    work.trials = mail_servers.trials([(path, document)], actor) if trials is None else trials
    with transaction.atomic(), verification.silent():
        companies.company_apply(work, path, document)
        if work.errors:
            raise ProvisioningError(work.errors)
    return _told(work)


def _told(work: Work) -> Report:
    work.report.notes = tuple(f"{path}: {message}" for path, message in work.notes)
    return work.report
