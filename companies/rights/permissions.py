"""What a user may do: the permissions, the roles made of them, and how they combine by shop.

The one place in code that says so. Pure: `access` reads it for a membership, services and views ask `access`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from companies.models import Role

VIEW = "view"
EDIT_SETTINGS = "edit_settings"
MANAGE_KEYS = "manage_keys"
MANAGE_RULES = "manage_rules"
RUN_NOTIFICATION_URL = "run_notification_url"
MANAGE_PAYMENT_ORDERS = "manage_payment_orders"
RESEND = "resend"
MANAGE_USERS = "manage_users"
MANAGE_COMPANY = "manage_company"

SHOP_LEVEL = (
    VIEW,
    EDIT_SETTINGS,
    MANAGE_KEYS,
    MANAGE_RULES,
    RUN_NOTIFICATION_URL,
    MANAGE_PAYMENT_ORDERS,
    RESEND,
)
"""Granted shop by shop, in the order of the screens."""

COMPANY_LEVEL = (MANAGE_USERS, MANAGE_COMPANY)
"""Granted for the company as a whole."""

ALL = (*SHOP_LEVEL, *COMPANY_LEVEL)

LABELS: dict[str, Promise] = {
    VIEW: _("Voir"),
    EDIT_SETTINGS: _("Modifier le paramétrage"),
    MANAGE_KEYS: _("Gérer les clés"),
    MANAGE_RULES: _("Gérer les règles"),
    RUN_NOTIFICATION_URL: _("Exécuter l'URL de notification"),
    MANAGE_PAYMENT_ORDERS: _("Ordres de paiement"),
    RESEND: _("Renvoyer un message"),
    MANAGE_USERS: _("Utilisateurs"),
    MANAGE_COMPANY: _("Société"),
}

DESCRIPTIONS: dict[str, Promise] = {
    VIEW: _("Consulter la boutique, ses adresses, ses règles et son journal."),
    EDIT_SETTINGS: _("Changer la configuration de la boutique, dont l'e-mail gestionnaire."),
    MANAGE_KEYS: _("Afficher et régénérer les clés, choisir l'algorithme de signature."),
    MANAGE_RULES: _("Créer, modifier, activer et désactiver les règles de notification."),
    RUN_NOTIFICATION_URL: _("Tester une URL de notification et rejouer un appel."),
    MANAGE_PAYMENT_ORDERS: _("Créer, modifier et annuler les ordres de paiement."),
    RESEND: _("Renvoyer ou annuler un message du journal."),
    MANAGE_USERS: _("Créer et modifier les utilisateurs et les comptes SFTP de la société."),
    MANAGE_COMPANY: _("Changer Infos Société : langue, contacts, adresses d'incident."),
}

# What each role comes to, in a sentence; the last is of permissions of one's own.
SENTENCES: dict[str, Promise] = {
    Role.VIEWER: _("Tout consulter, rien modifier."),
    Role.MANAGER: _(
        "Le quotidien des boutiques : configuration, règles, essais d'URL, ordres de paiement, renvois. Ni les clés, ni "
        "les utilisateurs, ni Infos Société."
    ),
    Role.ADMINISTRATOR: _("Tout, y compris les clés, les utilisateurs et Infos Société."),
    "custom": _("Seulement ce qui est coché ci-dessous."),
}

_VIEWER = frozenset({VIEW})
_MANAGER = _VIEWER | {EDIT_SETTINGS, MANAGE_RULES, RUN_NOTIFICATION_URL, MANAGE_PAYMENT_ORDERS, RESEND}
_ADMINISTRATOR = _MANAGER | {MANAGE_KEYS, MANAGE_COMPANY, MANAGE_USERS}

PERMISSIONS: dict[str, frozenset[str]] = {
    Role.VIEWER: _VIEWER,
    Role.MANAGER: _MANAGER,
    Role.ADMINISTRATOR: _ADMINISTRATOR,
}
"""What each role grants unless a membership says otherwise."""

NOTHING: frozenset[str] = frozenset()


def complete(codes: Iterable[str]) -> frozenset[str]:
    """The set of permissions to store: known codes, and « view » with any of them."""
    known = frozenset(codes)
    unknown = known - set(ALL)
    if unknown:
        raise ValueError(f"unknown permissions: {', '.join(sorted(unknown))}")
    return known | {VIEW} if known else known


def ordered(codes: Iterable[str]) -> list[str]:
    """Permissions in the order of the screens."""
    wanted = set(codes)
    return [code for code in ALL if code in wanted]


def role_of(codes: frozenset[str]) -> str | None:
    """The role that grants exactly these permissions, None for a set of one's own."""
    return next((role for role, granted in PERMISSIONS.items() if granted == codes), None)


@dataclass(frozen=True)
class Access:
    """What one membership grants.

    Attributes:
        general: its permissions in the company and, with `all_shops`, on every shop, also those still to come.
        all_shops: False restricts it to the shops named in `shops`.
        shops: shop key → the permissions on that shop; None stands for `general`, an empty set hides
            the shop. With `all_shops` these are exceptions.
    """

    general: frozenset[str]
    all_shops: bool = True
    shops: Mapping[int, frozenset[str] | None] = field(default_factory=dict)

    @property
    def in_company(self) -> frozenset[str]:
        """The permissions that concern the company as a whole."""
        return self.general & set(COMPANY_LEVEL)

    @property
    def on_other_shops(self) -> frozenset[str]:
        """The permissions on the shops that are not named."""
        return self.general & set(SHOP_LEVEL) if self.all_shops else NOTHING

    def on(self, shop: int) -> frozenset[str]:
        """The permissions on one shop of the company."""
        if shop not in self.shops:
            return self.on_other_shops
        own = self.shops[shop]
        return (self.general if own is None else own) & set(SHOP_LEVEL)

    def everywhere(self, permission: str) -> bool:
        """Whether a permission holds in general and on each shop that is not hidden."""
        return permission in self.general and all(
            own is None or not own or permission in own or permission in COMPANY_LEVEL for own in self.shops.values()
        )

    def somewhere(self, permission: str) -> bool:
        """Whether a permission holds at least on one shop; for the company's own: whether it holds."""
        if permission in COMPANY_LEVEL:
            return permission in self.general
        return permission in self.on_other_shops or any(permission in self.on(shop) for shop in self.shops)

    @property
    def is_uniform(self) -> bool:
        """Whether the same holds for each shop that the membership covers."""
        return all(own is None for own in self.shops.values())

    def covers(self, other: "Access") -> bool:
        """Whether nothing in `other` goes beyond this: who may grant it, or act on an account that has it."""
        return (
            other.in_company <= self.in_company
            and other.on_other_shops <= self.on_other_shops
            and all(other.on(shop) <= self.on(shop) for shop in {*self.shops, *other.shops})
        )
