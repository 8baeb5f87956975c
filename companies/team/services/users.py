"""Users: create, change, take the access back."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from backoffice.text import addresses
from companies import audit, security, status, verified
from companies.audit import Actor, Changes
from companies.models import Company, Membership, User
from companies.rights import access, identity
from companies.team.services.accounts import awaits_first_login, fingerprint, lock_account, told_changes
from companies.team.services.passwords import refuse_weak_password
from companies.team.services.rights import (
    AS_THEY_ARE,
    Rights,
    keep_an_administrator,
    lock_companies,
    may_grant,
    refuse_beyond,
    rights_save,
    shops_text,
)
from notifications.core.facts import Occasion
from notifications.events.publishing import publish
from notifications.health import verification


@transaction.atomic
def user_create(
    *,
    company: Company,
    actor: Actor,
    login: str,
    email: str,
    rights: Rights = AS_THEY_ARE,
    password: str | None = None,
    notify: bool = True,
    **fields: Any,
) -> User:
    """Create a user of a company and, unless `notify` is False, mail the identifier and a link.

    Args:
        rights: what is not said is what new accounts have: the role of a viewer, on all shops.
        password: None gives an unusable one; the link of the mail sets it.

    Raises:
        ValidationError: also when the actor would grant a right that they do not have.
    """
    status.ensure_open(actor=actor, company=company)
    user = User(company=company, login=login, email=email, **fields)
    if password is None:
        user.set_unusable_password()
    else:
        refuse_weak_password(password, user)
        user.set_password(password)
    user.full_clean()
    user.save()
    membership = Membership(user=user, company=company)
    changed_rights = rights_save(membership, rights.of_new_account())
    refuse_beyond(may_grant(actor, company), access.access_of(membership))
    # A new account has no rights to have changed from: the history shows what it starts with.
    started = {"login": login, "email": email, "role": membership.role, "shops": shops_text(membership), **fields}
    own_rights = {name: pair for name, pair in changed_rights.items() if name.startswith("rights")}
    audit.record(
        actor=actor, action="user.created", obj=user, company=company, changes=audit.creation(started) | own_rights
    )
    if notify:
        publish(
            type="user_account.created", company=company, account=user, data={"link": not user.has_usable_password()}
        )
    verification.addresses_saved(company=company, saved=[user.email], actor=actor)
    return user


@transaction.atomic
def user_update(
    *,
    user: User,
    actor: Actor,
    company: Company | None = None,
    rights: Rights = AS_THEY_ARE,
    notify: bool = True,
    tell_former: bool = True,
    seen: str | None = None,
    **fields: Any,
) -> Changes:
    """Change an account, its role or its shops.

    The owner is told of every change but the language, also of the one that disables the account; when the
    address changes, the former address is told too (docs/rules.md 4.10) unless `tell_former` is False, and while no
    password was chosen the new one gets an invitation of its own: links sent before end with the change. Staff
    accounts (no company) are changed silently.

    Args:
        rights: those in `company`.
        seen: the `fingerprint` of what the writer saw; StaleVersion when the account has changed since.

    Raises:
        ValidationError: also when the actor acts on, or would grant, a right that they do not have,
            when the account itself is not theirs to change (`identity`),
            and when the company would lose its last active administrator.
    """
    company = company or user.company
    watched = lock_companies(user, company) if rights.are_asked or "is_active" in fields or seen is not None else []
    lock_account(user)
    if seen is not None:
        audit.check_seen(seen, fingerprint(user, company))
    before = _Before(user.email, user.is_active)
    membership = Membership.objects.filter(user=user, company=company).first() if company else None
    limit = may_grant(actor, company)
    if membership is not None and actor.user != user:
        refuse_beyond(limit, access.access_of(membership))
    details = _details_save(user, actor, fields)
    changes = dict(details)
    if membership is not None and rights.are_asked:
        changes |= rights_save(membership, rights)
        refuse_beyond(limit, access.access_of(membership))
    if not changes:
        return changes
    if company is not None and actor.user != user and changes != {"is_active": [True, False]}:
        status.ensure_open(actor=actor, company=company)
    keep_an_administrator(actor, watched)
    if details:
        identity.ensure(actor, user, company)
    audit.record(actor=actor, action="user.updated", obj=user, company=company, changes=changes)
    if notify and company is not None:
        _tell_owner(user, company, changes, before, tell_former=tell_former)
    if company is not None and "email" in changes:
        verification.addresses_saved(company=company, saved=[user.email], actor=actor)
    return changes


@dataclass(frozen=True)
class _Before:
    """The former values of an account, for the mail about its change."""

    email: str
    was_active: bool


def _details_save(user: User, actor: Actor, fields: dict[str, Any]) -> Changes:
    """Write the columns of an account; what changed."""
    former = user.email
    changes = audit.apply(user, fields)
    if not changes:
        return changes
    if "email" in changes:
        verified.address_changed(user, former=former, actor=actor)
    user.full_clean(exclude=["password"])
    user.save()
    if not user.is_active:
        security.sessions_drop(user)
    return changes


def _tell_owner(user: User, company: Company, changes: Changes, before: _Before, *, tell_former: bool) -> None:
    """Mail the owner of an account what changed, with the link that the change requires."""
    told = told_changes(changes)
    if not told:
        return
    moved = "email" in changes and addresses.normalise(before.email) != addresses.normalise(user.email)
    needs_link = awaits_first_login(user) and not {"email", "is_active"}.isdisjoint(changes)
    pending = verified.is_pending(user)
    invites = needs_link and not pending
    # The former address first: it is the one that can still object.
    if tell_former and moved:
        verified.tell_former(user, company=company, former=before.email, link_ended=needs_link)
    data: dict[str, Any] = {"changed": told}
    if invites:
        data["link"] = True
    if pending:
        data["to_confirm"] = True
    publish(
        type="user_account.created" if invites and moved and user.last_login is None else "user_account.modified",
        company=company,
        account=user,
        data=data,
        occasion=Occasion(was_active=before.was_active),
    )
    if needs_link and pending:
        # The link that opens the account goes to the address that was verified.
        publish(type="account.password_reset_requested", company=company, account=user)


@transaction.atomic
def membership_remove(*, membership: Membership, actor: Actor) -> None:
    """Remove an account's access to a company and tell its owner; keep the account.

    Raises:
        ValidationError: the actor has not all of its rights, or it is the last active administrator.
    """
    user, company = membership.user, membership.company
    watched = lock_companies(user, company)
    refuse_beyond(may_grant(actor, company), access.access_of(membership))
    changes: Changes = {"access": [str(company), None], "role": [membership.role, None]}
    membership.delete()
    keep_an_administrator(actor, watched)
    audit.record(actor=actor, action="user.access_removed", obj=user, company=company, changes=changes)
    publish(type="user_account.modified", company=company, account=user, data={"changed": ["access"]})
