"""The side menu and the breadcrumbs that follow from it.

Entries are paths, not view names, and show once their path leads somewhere: an area that is not
installed leaves no dead link. Those that need a right show to whoever has it somewhere.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.urls import Resolver404, resolve
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from companies import access, permissions
from companies.models import Membership


@dataclass(frozen=True)
class Entry:
    """One line of the menu; `group` is the middle level of « Société › Infos Société »."""

    path: str
    label: Promise
    group: Promise | None = None
    # Pages below another path that belong to this entry as well; `*` stands for one part of a path.
    also: tuple[str, ...] = ()
    # What the page asks for; to see the others it is enough to be a member.
    permission: str = permissions.VIEW
    # Whether the right is needed on each shop of the company; else one shop is enough.
    whole: bool = False

    def is_open_to(self, membership: Membership) -> bool:
        ask = access.whole if self.whole else access.can_somewhere
        return exists(self.path) and ask(membership, self.permission)

    def covers(self, path: str) -> int:
        """How much of `path` lies under this entry, in characters; 0 for not at all."""
        return max((_covered(root, path) for root in (self.path, *self.also)), default=0)


def _covered(root: str, path: str) -> int:
    parts = path.split("/")
    wanted = root.rstrip("/").split("/")
    same = len(parts) > len(wanted) and all(one in ("*", part) for one, part in zip(wanted, parts, strict=False))
    return len("/".join(parts[: len(wanted)])) + 1 if same else 0


@dataclass(frozen=True)
class Section:
    label: Promise | None
    entries: tuple[Entry, ...]


_COMPANY, _SHOP = _("Société"), _("Boutique")

MENU: tuple[Section, ...] = (
    Section(None, (Entry("/", _("Accueil")),)),
    Section(
        _("Notifications"),
        (
            Entry("/notifications/addresses/", _("Adresses contactées")),
            Entry("/notifications/by-notification/", _("Par notification")),
            Entry("/notifications/journal/", _("Journal")),
        ),
    ),
    Section(
        _("Paramétrage"),
        (
            Entry("/settings/company/", _("Infos Société"), _COMPANY),
            Entry("/settings/company/users/", _("Utilisateurs"), _COMPANY, permission=permissions.MANAGE_USERS),
            Entry("/settings/company/sftp-accounts/", _("Comptes SFTP"), _COMPANY, permission=permissions.MANAGE_USERS),
            Entry(
                "/settings/company/api-tokens/",
                _("Jetons d'API"),
                _COMPANY,
                permission=permissions.MANAGE_KEYS,
                whole=True,
            ),
            Entry("/settings/company/authentication/", _("Authentification"), _COMPANY),
            Entry("/settings/company/history/", _("Historique"), _COMPANY),
            Entry("/settings/shops/", _("Configuration"), _SHOP),
            Entry(
                "/settings/shops/keys/",
                _("Clés"),
                _SHOP,
                also=("/settings/shops/*/keys/",),
                permission=permissions.MANAGE_KEYS,
            ),
            Entry("/settings/shops/contracts/", _("Contrats"), _SHOP, also=("/settings/shops/*/contracts/",)),
            Entry("/settings/notification-rules/", _("Règles de notifications")),
        ),
    ),
    Section(
        _("Gestion"),
        (
            Entry("/payment-orders/", _("Ordres de paiement")),
            Entry(
                "/settings/shops/data-form/",
                _("Configuration du formulaire de collecte de données"),
                also=("/settings/shops/*/data-form/",),
            ),
            Entry("/billing/", _("Facturation")),
            Entry("/reports/consistency/", _("Rapports de consistance")),
        ),
    ),
)


@lru_cache(maxsize=256)
def exists(path: str) -> bool:
    """Whether a view answers at `path`."""
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


def visible_menu(membership: Membership) -> list[dict[str, Any]]:
    """The sections with at least one entry that is installed and open to the user, entries in runs of the same group."""
    sections: list[dict[str, Any]] = []
    for section in MENU:
        entries = [entry for entry in section.entries if entry.is_open_to(membership)]
        if not entries:
            continue
        groups: list[dict[str, Any]] = []
        for entry in entries:
            if not groups or groups[-1]["label"] is not entry.group:
                groups.append({"label": entry.group, "entries": []})
            groups[-1]["entries"].append(entry)
        sections.append({"label": section.label, "groups": groups})
    return sections


def current_entry(path: str) -> tuple[Section, Entry] | None:
    """The entry a page belongs to: the one with the longest path that the page's path begins with."""
    if path == "/":
        return MENU[0], MENU[0].entries[0]
    found = [(entry.covers(path), section, entry) for section in MENU[1:] for entry in section.entries]
    best = max(found, key=lambda item: item[0])
    return (best[1], best[2]) if best[0] else None


def trail(path: str) -> list[Promise]:
    """The menu path of a page, e.g. Paramétrage, Société, Infos Société; empty for home."""
    current = current_entry(path)
    if current is None or path == "/":
        return []
    section, entry = current
    return [label for label in (section.label, entry.group, entry.label) if label is not None]
