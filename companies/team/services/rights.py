"""The rights of a membership: who may grant them, how they are written, what the history shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from companies import audit
from companies.audit import Actor, Changes
from companies.models import Company, Membership, MembershipShop, Role, User
from companies.rights import access, permissions
from companies.rights.permissions import Access
from shops.models import Shop

# Shop key → the permissions on that shop, None for those that the membership has in general.
Grants = Mapping[int, frozenset[str] | None]


@dataclass(frozen=True)
class Rights:
    """What a membership is given; None leaves that part as it is.

    Attributes:
        role: gives what the role grants and takes back any permissions of one's own.
        own: permissions instead of those of the role; only together with `role`.
        all_shops: whether the rights hold on every shop, also those still to come.
        shops: the shops covered, with the rights in general.
        grants: instead of `shops`, shop key → permissions on that shop (None: those in general).
    """

    role: str | None = None
    own: frozenset[str] | None = None
    all_shops: bool | None = None
    shops: Sequence[Shop] | None = None
    grants: Grants | None = None

    @property
    def are_asked(self) -> bool:
        """Whether anything is to change."""
        return any(part is not None for part in (self.role, self.all_shops, self.shops, self.grants))

    @property
    def sees_no_shop(self) -> bool:
        """Whether the account would see none of the shops, those still to come included."""
        return not (self.all_shops or self.shops or self.grants)

    def of_new_account(self) -> "Rights":
        """These rights, with the role and the shops that a new account has unless told otherwise."""
        return replace(
            self,
            role=Role.VIEWER if self.role is None else self.role,
            all_shops=True if self.all_shops is None else self.all_shops,
            shops=self.shops or [],
        )


AS_THEY_ARE = Rights()


def may_grant(actor: Actor, company: Company | None) -> Access | None:
    """What the actor may grant in a company, read before anything changes; None: not bound by rights.

    Operators' commands and the platform's team are not bound.
    """
    if actor.user is None or actor.user.is_staff:
        return None
    mine = Membership.objects.filter(user=actor.user, company=company).first()
    return access.access_of(mine) if mine else Access(permissions.NOTHING, all_shops=False)


def refuse_beyond(limit: Access | None, wanted: Access) -> None:
    """Refuse rights beyond `limit`, those of the actor."""
    if limit is not None and not limit.covers(wanted):
        raise ValidationError(
            _("Ce compte aurait, ou a, des droits que vous n'avez pas vous-même. Demandez à un administrateur."),
            code="beyond",
        )


def lock_companies(user: User, company: Company | None) -> list[tuple[Company, bool]]:
    """Lock the companies whose administrators a change may concern, each with whether it has one now.

    Two people who disable each other at the same moment wait for one another here.
    """
    keys = set(Membership.objects.filter(user=user, role=Role.ADMINISTRATOR).values_list("company_id", flat=True))
    if company is not None:
        keys.add(company.pk)
    locked = Company.objects.select_for_update().filter(pk__in=keys).order_by("pk")
    return [(company, _has_administrator(company)) for company in locked]


def keep_an_administrator(actor: Actor, watched: list[tuple[Company, bool]]) -> None:
    """Refuse a change that takes its last active administrator from a company.

    An operator's file may leave a company without one for a while; a person may not.
    """
    if actor.user is None:
        return
    if any(had_one and not _has_administrator(company) for company, had_one in watched):
        raise ValidationError(
            _("C'est le dernier administrateur actif de la société : il ne peut être ni désactivé ni rétrogradé."),
            code="last_administrator",
        )


def _has_administrator(company: Company) -> bool:
    return Membership.objects.filter(company=company, role=Role.ADMINISTRATOR, user__is_active=True).exists()


def rights_save(membership: Membership, rights: Rights) -> Changes:
    """Write the rights of a membership; what changed, as the history shows it."""
    before, before_text = _rights_shown(membership), shops_text(membership)
    changes: Changes = {}
    if rights.role is not None:
        changes |= audit.apply(membership, {"role": rights.role})
        membership.permissions = None if rights.own is None else permissions.complete(rights.own)
    if rights.all_shops is not None:
        membership.all_shops = rights.all_shops
    membership.full_clean()
    membership.save()
    if (grants := _grants_wanted(membership, rights)) is not None:
        _grants_save(membership, grants)
    access.forget(membership)
    after, after_text = _rights_shown(membership), shops_text(membership)
    if before_text != after_text:
        changes["shops"] = [before_text, after_text]
    changes |= {
        name: [before.get(name), after.get(name)]
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }
    return changes


def _grants_wanted(membership: Membership, rights: Rights) -> Grants | None:
    """What is to be stored by shop; None where that stays as it is."""
    if rights.grants is not None:
        return rights.grants
    # Without rights of their own: a role and a list of shops mean exactly that.
    if rights.shops is not None:
        return dict.fromkeys(shop.pk for shop in rights.shops)
    if rights.role is not None:
        return dict.fromkeys(membership.grants.values_list("shop", flat=True))
    return None


def _grants_save(membership: Membership, grants: Grants) -> None:
    known = set(Shop.objects.filter(company_id=membership.company_id).values_list("pk", flat=True))
    if not known.issuperset(grants):
        raise ValidationError({"shops": _("Les boutiques choisies doivent être celles de la société.")})
    wanted = {shop: None if codes is None else permissions.complete(codes) for shop, codes in grants.items()}
    if membership.role == Role.ADMINISTRATOR and any(codes is not None for codes in wanted.values()):
        raise ValidationError(_("Un administrateur a tous les droits sur chacune de ses boutiques."))
    stored = dict(membership.grants.values_list("shop_id", "permissions"))
    if membership.all_shops:
        # Named shops are exceptions there; one without rights of its own is none.
        wanted = {shop: codes for shop, codes in wanted.items() if codes is not None}
    membership.grants.exclude(shop__in=wanted).delete()
    differing = [shop for shop, codes in wanted.items() if shop not in stored or stored[shop] != codes]
    membership.grants.filter(shop__in=differing).delete()
    MembershipShop.objects.bulk_create(
        MembershipShop(membership=membership, shop_id=shop, permissions=wanted[shop]) for shop in differing
    )


def _rights_shown(membership: Membership) -> dict[str, list[str]]:
    """Permissions of one's own as the history keeps them: `rights`, and `rights.<site_id>` by shop."""
    if membership._state.adding:
        return {}
    named = membership.grants.filter(permissions__isnull=False).values_list("shop__site_id", "permissions")
    shown = {f"rights.{site_id}": permissions.ordered(codes or ()) for site_id, codes in named}
    if membership.permissions is not None:
        shown["rights"] = permissions.ordered(membership.permissions)
    return shown


def shops_text(membership: Membership) -> str:
    if membership.all_shops:
        return "*"
    if membership._state.adding:
        return ""
    return ", ".join(membership.grants.order_by("shop__site_id").values_list("shop__site_id", flat=True))
