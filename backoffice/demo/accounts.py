"""The accounts of the demonstration: every state a user or SFTP account can be in, and a closed shop."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.utils import timezone

from companies.accounts import logins
from companies.audit import Actor
from companies.models import Company, LoginRecord, Membership, Role, Session, SftpAccount, Status, User
from companies.rights.permissions import PERMISSIONS, RESEND, VIEW
from companies.sessions import SessionStore
from companies.team import services as team_services
from companies.team.services import Rights
from shops import services as shop_services
from shops.models import Shop

LILLE = "10000005"
# Log-in → when it logged in last and before, in days ago, and from where.
_LOGINS = {
    "claire": ((0.1, 1.2, 2.1, 5.0, 8.3, 12.4), "192.0.2.17"),
    "paul": ((0.9, 3.2, 6.1), "192.0.2.44"),
    "lea": ((4.4, 11.0), "198.51.100.9"),
    "boreal": ((1.6,), "203.0.113.80"),
    "yann": ((18.2, 25.0), "192.0.2.61"),
}

_AT_WORK = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0"
_ON_THE_MOVE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Safari/604.1"


def tell(at: Callable[..., AbstractContextManager[datetime]], claire: Actor) -> None:
    """Add them to Maison Lumière.

    Args:
        at: moves what its block writes back in time, see `demo._Story.at`.
        claire: the administrator who makes them.
    """
    company = Company.objects.get(reference="maison-lumiere")
    shops = {shop.site_id: shop for shop in Shop.objects.filter(company=company)}
    paris, lyon, online = (shops[site_id] for site_id in ("10000001", "10000002", "10000003"))
    new: dict[str, Any] = {"company": company, "actor": claire}
    with at(days=29):
        team_services.user_create(
            **new,
            login="yann",
            email="yann@lumiere.example",
            first_name="Yann",
            last_name="Le Gall",
            rights=Rights(role=Role.MANAGER),
        )
        team_services.user_create(
            **new,
            login="marc",
            email="marc@lumiere.example",
            first_name="Marc",
            last_name="Dubois",
            rights=Rights(role=Role.MANAGER, grants={online.pk: PERMISSIONS[Role.VIEWER]}),
        )
        team_services.user_create(
            **new,
            login="support-lyon",
            email="support@lumiere.example",
            first_name="Inès",
            last_name="Haddad",
            rights=Rights(role=Role.VIEWER, own=frozenset({VIEW, RESEND}), all_shops=False, grants={lyon.pk: None}),
        )
    with at(days=17.5):
        team_services.user_update(user=User.objects.get(login="yann"), actor=claire, is_active=False)
    with at(days=1.1):
        # Manager of Lyon, viewer of Paris.
        team_services.user_create(
            **new,
            login="nadia",
            email="nadia@lumiere.example",
            first_name="Nadia",
            last_name="Benali",
            rights=Rights(
                role=Role.VIEWER, all_shops=False, grants={lyon.pk: PERMISSIONS[Role.MANAGER], paris.pk: None}
            ),
        )
    Membership.objects.create(
        user=User.objects.get(login="claire"), company=Company.objects.get(reference="atelier-boreal"), role=Role.VIEWER
    )
    _sftp(at, company, claire)
    _closed_shop(at, company)
    _logins()


def _sftp(at: Callable[..., AbstractContextManager[datetime]], company: Company, claire: Actor) -> None:
    for login, email, created, password in (
        ("lumiere-compta", "compta@lumiere.example", 0, 31),
        ("lumiere-archives", "archives@lumiere.example", 28, 712),
        ("lumiere-rapports", "rapports@lumiere.example", 0.2, 0.2),
    ):
        if created:
            with at(days=created):
                team_services.sftp_account_create(company=company, actor=claire, login=login, email=email)
        account = SftpAccount.objects.get(login=login)
        if password > 2:
            with at(days=created or password - 1):
                team_services.sftp_reveal(account=account)
        moment = timezone.now() - timedelta(days=password)
        SftpAccount.objects.filter(pk=account.pk).update(password_set_at=moment, created_at=moment)


def _closed_shop(at: Callable[..., AbstractContextManager[datetime]], company: Company) -> None:
    team = Actor("Équipe plateforme")
    with at(days=30):
        shop = shop_services.shop_create(
            company=company, actor=team, notify=False, site_id=LILLE, name="Lumière Lille", url="https://lille.lumiere.example"
        )  # fmt: skip
    with at(days=14):
        shop_services.shop_set_status(
            shop=shop, actor=team, state=Status.CLOSED, reason="Fin du bail : fermeture demandée par la société."
        )
    Shop.objects.filter(pk=shop.pk).update(status_since=timezone.now() - timedelta(days=14))


def _telephone(user: User) -> None:
    """A second open session: Mon compte › Sessions ouvertes has something to close."""
    session = SessionStore()
    session.device = {"ip_address": "2001:db8:4:12::7", "user_agent": _ON_THE_MOVE}
    session[SESSION_KEY] = str(user.pk)
    session.create()
    opened = timezone.now() - timedelta(minutes=52)
    Session.objects.filter(user=user).update(
        created_at=opened, seen_at=timezone.now() - timedelta(minutes=8), **session.device
    )
    LoginRecord.objects.create(user=user, at=opened, succeeded=True, **session.device)


def _logins() -> None:
    now = timezone.now()
    for login, (days, address) in _LOGINS.items():
        user = User.objects.get(login=login)
        LoginRecord.objects.bulk_create(
            LoginRecord(
                user=user, at=now - timedelta(days=ago), ip_address=address, user_agent=_AT_WORK, succeeded=True
            )
            for ago in sorted(days, reverse=True)
        )
        User.objects.filter(pk=user.pk).update(last_login=now - timedelta(days=min(days)))
    _telephone(User.objects.get(login="claire"))
    marc = User.objects.get(login="marc")
    marc.set_password("demo-marc-oublie-2026")
    marc.save(update_fields=["password"])
    for number in range(logins.LOCK_AFTER):
        logins.login_failed(user=marc, ip_address=f"203.0.113.{20 + number}")
    for login, password in (("support-lyon", "demo-ines-2026"), ("yann", "demo-yann-2026")):
        user = User.objects.get(login=login)
        user.set_password(password)
        user.save(update_fields=["password"])
