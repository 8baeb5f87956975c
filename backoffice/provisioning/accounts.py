"""Applying the accounts of a company: a given list is the whole list, whoever is missing from it is disabled."""

from collections.abc import Iterator
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from backoffice.provisioning import exporting
from backoffice.provisioning.work import Work
from backoffice.schemas.settings import SftpAccountDocument, UserDocument
from companies.accounts import guessing
from companies.models import Company, SftpAccount, User
from companies.team import services
from companies.team.services.rights import may_grant
from notifications.events.publishing import publish
from shops.models import Shop

_USER_COLUMNS = ("email", "title", "first_name", "last_name", "phone", "language", "time_zone")
_SFTP_COLUMNS = ("email", "language")
# From so many accounts on, what is stored is read in one go.
_MANY = 10
A = TypeVar("A", UserDocument, SftpAccountDocument)


def _accounts(work: Work, kind: str, value: Any, path: str, model: type[A]) -> Iterator[tuple[str, A, dict[str, Any]]]:
    """(path, document, as given) of each listed account of good form, a login met twice refused."""
    for where, item in work.items(value, path):
        document = work.read(model, item, where)
        if document is not None and work.once(kind, document.login.lower(), f"{where}.login"):
            yield where, document, item


def _is_whole_list(value: Any) -> bool:
    return value is None or isinstance(value, list)


# --- Users ----------------------------------------------------------------------------------------


def users_apply(work: Work, path: str, company: Company, value: Any) -> None:
    """Create and change the listed users, disable the others."""
    kept: set[str] = set()
    work.report.users += len(value) if isinstance(value, list) else 0
    stored = _stored_users(work, company, value)
    for where, document, item in _accounts(work, "user", value, f"{path}.users", UserDocument):
        kept.add(document.login.lower())
        if _is_stored(document, stored.get(document.login)):
            work.report.count(False, None)
        else:
            _user_apply(work, where, company, document, item)
    if not _is_whole_list(value):
        return
    for user in User.objects.filter(company=company, is_active=True):
        if user.login.lower() not in kept and not work.errors:
            with work.guarded(f"{path}.users", {}):
                services.user_update(
                    user=user, actor=work.actor, notify=work.notify, tell_former=False, is_active=False
                )
            work.report.updated += 1


def _stored_users(work: Work, company: Company, value: Any) -> dict[str, dict[str, Any]]:
    """Login → the account as a document has it, for lists of accounts most of which stay as they are.

    Empty for an actor with rights of their own: whom they may act on is judged account by account.
    """
    if not isinstance(value, list) or len(value) < _MANY or may_grant(work.actor, company) is not None:
        return {}
    return {document["login"]: document for document in exporting.user_documents(company)}


def _is_stored(document: UserDocument, stored: dict[str, Any] | None) -> bool:
    """Whether an account is already all that its document says; where that takes a closer look, it is not."""
    if stored is None or document.password or not (document.has("role") and document.has("shops")):
        return False
    asked = {**document.given(*_USER_COLUMNS), "enabled": document.enabled, "role": document.role}
    asked["shops"] = document.shops if document.shops == "*" else sorted(document.shops)
    asked |= {"permissions": document.permissions, "shop_permissions": document.shop_permissions}
    held = {"permissions": None, "shop_permissions": {}, **stored}
    return all(name in held and held[name] == value for name, value in asked.items())


def _user_apply(work: Work, path: str, company: Company, document: UserDocument, item: dict[str, Any]) -> None:
    user = User.objects.select_related("company").filter(login__iexact=document.login).first()
    if user is not None and user.company_id != company.pk:
        work.refuse(f"{path}.login", _("cet identifiant appartient à une autre société"), document.login)
        return
    before = len(work.errors)
    if document.password and work.actor.merchant:
        message = _("un mot de passe ne se transmet pas : le titulaire du compte le choisit par le lien qu'il reçoit")
        work.refuse(f"{path}.password", message)
    rights = _rights(work, path, company, document)
    if len(work.errors) != before:
        return
    with work.guarded(path, item):
        if user is None:
            _user_create(work, company, document, rights)
            work.report.count(True, None)
        else:
            user.company = company
            work.report.count(False, _user_update(work, company, user, document, rights))


def _user_create(work: Work, company: Company, document: UserDocument, rights: services.Rights) -> None:
    fields: dict[str, Any] = {"email": "", **document.given(*_USER_COLUMNS)}
    if not document.enabled:
        fields["is_active"] = False
    user = services.user_create(
        company=company, actor=work.actor, login=document.login, notify=False, rights=rights, **fields
    )
    if document.password:
        # As it is: an operator's file is not asked for a strong one.
        user.set_password(document.password)
        user.save(update_fields=["password"])
    if work.notify and document.enabled:
        publish(type="user_account.created", company=company, account=user, data={"link": not document.password})


def _user_update(
    work: Work, company: Company, user: User, document: UserDocument, rights: services.Rights
) -> dict[str, Any]:
    """Change a user; returns what changed."""
    changes = services.user_update(
        user=user,
        actor=work.actor,
        company=company,
        rights=rights,
        notify=work.notify,
        tell_former=False,
        login=document.login,
        is_active=document.enabled,
        **document.given(*_USER_COLUMNS),
    )
    if document.password and not guessing.is_stored_password(user, document.password):
        services.user_password_provisioned(user=user, password=document.password, actor=work.actor, notify=work.notify)
        changes = {**changes, "password": []}
    return changes


def _rights(work: Work, path: str, company: Company, document: UserDocument) -> services.Rights:
    """Role, shops and permissions of one's own."""
    rights: dict[str, Any] = document.given("role")
    own = document.given("permissions", "shop_permissions")
    if own and not (document.has("role") and document.has("shops")):
        work.refuse(f"{path}.{next(iter(own))}", _("« role » et « shops » sont attendus avec des droits particuliers"))
        return services.Rights(**rights)
    if own.get("permissions") is not None:
        rights["own"] = frozenset(own["permissions"])
    if not document.has("shops"):
        return services.Rights(**rights)
    listed = [] if document.shops == "*" else list(document.shops)
    named = {f"{path}.shops[{position}]": site_id for position, site_id in enumerate(listed)}
    named |= {f"{path}.shop_permissions.{site_id}": site_id for site_id in document.shop_permissions}
    shops = {shop.site_id: shop for shop in Shop.objects.filter(company=company, site_id__in=named.values())}
    for where, site_id in named.items():
        if site_id not in shops:
            work.refuse(where, _("aucune boutique de la société ne porte cet identifiant"), site_id)
    rights["all_shops"] = document.shops == "*"
    if not document.shop_permissions:
        return services.Rights(**rights, shops=[shops[site_id] for site_id in listed if site_id in shops])
    grants: dict[int, frozenset[str] | None] = {shops[site_id].pk: None for site_id in listed if site_id in shops}
    for site_id, codes in document.shop_permissions.items():
        if site_id in shops:
            grants[shops[site_id].pk] = frozenset(codes)
    return services.Rights(**rights, grants=grants)


# --- SFTP accounts --------------------------------------------------------------------------------


def sftp_accounts_apply(work: Work, path: str, company: Company, value: Any) -> bool:
    """Create and change the listed SFTP accounts, disable the others; whether anything changed."""
    kept: set[str] = set()
    changed = False
    for where, document, item in _accounts(work, "sftp_account", value, f"{path}.sftp_accounts", SftpAccountDocument):
        kept.add(document.login.lower())
        changed = _sftp_account_apply(work, where, company, document, item) or changed
    if not _is_whole_list(value):
        return changed
    for account in SftpAccount.objects.filter(company=company, is_active=True):
        if account.login.lower() not in kept and not work.errors:
            services.sftp_account_update(
                account=account, actor=work.actor, notify=work.notify, tell_former=False, is_active=False
            )
            changed = True
    return changed


def _sftp_account_apply(
    work: Work, path: str, company: Company, document: SftpAccountDocument, item: dict[str, Any]
) -> bool:
    account = SftpAccount.objects.select_related("company").filter(login__iexact=document.login).first()
    if account is not None and account.company_id != company.pk:
        work.refuse(f"{path}.login", _("cet identifiant appartient à une autre société"), document.login)
        return False
    fields = document.given(*_SFTP_COLUMNS)
    changed = False
    with work.guarded(path, item):
        if account is None:
            services.sftp_account_create(
                company=company,
                actor=work.actor,
                login=document.login,
                notify=work.notify and document.enabled,
                is_active=document.enabled,
                **{"email": "", **fields},
            )
            changed = True
        else:
            account.company = company
            changed = bool(
                services.sftp_account_update(
                    account=account,
                    actor=work.actor,
                    notify=work.notify,
                    tell_former=False,
                    is_active=document.enabled,
                    **fields,
                )
            )
    return changed
