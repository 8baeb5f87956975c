"""The side menu, and the breadcrumbs derived from it.

Entries are names of routes. Those that need a right show to whoever has it somewhere.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from companies.models import Membership
from companies.rights import access, permissions


@dataclass(frozen=True)
class Entry:
    """One line of the menu; `group` is the middle level of « Société › Infos Société »."""

    route: str
    label: Promise
    group: Promise | None = None
    # Routes of a shop whose pages belong to this entry as well.
    also: tuple[str, ...] = ()
    # Routes of other pages that belong to it.
    beside: tuple[str, ...] = ()
    # What the page asks for; to see the others it is enough to be a member.
    permission: str = permissions.VIEW
    # Whether the right is needed on each shop of the company; else one shop is enough.
    whole: bool = False

    def is_open_to(self, membership: Membership) -> bool:
        ask = access.whole if self.whole else access.can_somewhere
        return ask(membership, self.permission)

    @cached_property
    def path(self) -> str:
        return reverse(self.route)

    @cached_property
    def _roots(self) -> list[str]:
        """The paths below which pages belong to this entry; `*` stands for one part."""
        return [
            self.path,
            *(reverse(route, args=["*"]) for route in self.also),
            *(reverse(route) for route in self.beside),
        ]

    def covers(self, path: str) -> int:
        """How much of `path` lies under this entry, in characters; 0 for not at all."""
        return max((_covered(root, path) for root in self._roots), default=0)


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
    Section(None, (Entry("home", _("Accueil")),)),
    Section(
        _("Notifications"),
        (
            Entry("coverage", _("Couverture"), beside=("by_notification",)),
            Entry("addresses", _("Adresses contactées"), beside=("compare",)),
            Entry("why", _("Pourquoi ?")),
            Entry("journal", _("Journal")),
        ),
    ),
    Section(
        _("Paramétrage"),
        (
            Entry("company_settings", _("Infos Société"), _COMPANY),
            Entry("users", _("Utilisateurs"), _COMPANY, permission=permissions.MANAGE_USERS),
            Entry("sftp_accounts", _("Comptes SFTP"), _COMPANY, permission=permissions.MANAGE_USERS),
            Entry(
                "api_tokens",
                _("Jetons d'API"),
                _COMPANY,
                permission=permissions.MANAGE_KEYS,
                whole=True,
            ),
            Entry("authentication", _("Authentification"), _COMPANY),
            Entry("company_history", _("Historique"), _COMPANY),
            Entry("shops", _("Configuration"), _SHOP),
            Entry(
                "shops_keys",
                _("Clés"),
                _SHOP,
                also=("shop_keys",),
                permission=permissions.MANAGE_KEYS,
            ),
            Entry("shops_contracts", _("Contrats"), _SHOP, also=("shop_contracts",)),
            Entry("rules", _("Règles de notifications")),
        ),
    ),
    Section(
        _("Gestion"),
        (
            Entry("payment_orders", _("Ordres de paiement")),
            Entry(
                "shops_data_form",
                _("Configuration du formulaire de collecte de données"),
                also=("data_form",),
            ),
            Entry("billing", _("Facturation")),
            Entry("consistency_report", _("Rapports de consistance")),
        ),
    ),
)


def visible_menu(membership: Membership) -> list[dict[str, Any]]:
    """The sections with at least one entry that is open to the user, entries in runs of the same group."""
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
    covering = [(entry.covers(path), section, entry) for section in MENU[1:] for entry in section.entries]
    best = max(covering, key=lambda item: item[0])
    return (best[1], best[2]) if best[0] else None


def trail(path: str) -> list[Promise]:
    """The menu path of a page, e.g. Paramétrage, Société, Infos Société; empty for home."""
    current = current_entry(path)
    if current is None or path == "/":
        return []
    section, entry = current
    return [label for label in (section.label, entry.group, entry.label) if label is not None]
