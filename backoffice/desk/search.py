"""One search for the team: every identifier that a caller may read out, in groups that the reader may see.

Each kind of object asks its own indexes and shows a few rows; what a reader may not look at is not asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise, cached_property
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.base import endless
from backoffice.desk import lookups
from backoffice.text import addresses, times
from companies.models import Company, SftpAccount, User
from notifications.core import wording
from notifications.models import AddressHealth, ApiToken, Delivery, Event
from shops.models import BillingDocument, PaymentOrder, Shop

# Rows of a group; the list behind it has the others.
SHOWN = 10
LONGEST = 254


@dataclass(frozen=True)
class SearchHit:
    """One object that was found.

    Attributes:
        label: its name, which is the link.
        about: what tells it from others, in words.
        state: its state, empty where it has none.
    """

    label: str
    url: str
    about: str = ""
    state: str = ""


@dataclass(frozen=True)
class SearchGroup:
    """The objects of one kind that were found.

    Attributes:
        more_url: the list with all of them, where there are more than are shown.
    """

    label: str
    hits: Sequence[SearchHit]
    more_url: str = ""


@dataclass(frozen=True)
class Asked:
    """The text typed and what it may be: key, address, number; each interpretation is computed once."""

    text: str

    @property
    def normalised(self) -> str:
        return addresses.normalise(self.text)

    @cached_property
    def is_address(self) -> bool:
        local, _at, domain = self.text.partition("@")
        return bool(local and domain) and not set(" @<>") & set(local + domain)

    @cached_property
    def key(self) -> Any:
        return lookups.key_in(self.text)

    @cached_property
    def events(self) -> list[int]:
        return [*lookups.events_named(self.text), *lookups.events_of_payment(self.text)]

    @cached_property
    def orders(self) -> list[UUID]:
        return [*lookups.orders_named(self.text), *lookups.orders_paid_in(self.events)]


def asked(typed: str) -> Asked:
    """What a field of the search holds: one line without what no identifier has."""
    return Asked(" ".join(typed.replace("\0", " ").split())[:LONGEST])


# --- Each kind ------------------------------------------------------------------------------------


def _companies(what: Asked) -> QuerySet[Company]:
    return Company.objects.filter(pk__in=lookups.companies_named(what.text)).order_by("name", "pk")


def _shops(what: Asked) -> QuerySet[Shop]:
    named = Q(name__icontains=what.text) | Q(site_id__startswith=what.text)
    return Shop.objects.filter(named).select_related("company").order_by("site_id")


def _users(what: Asked) -> QuerySet[User]:
    named = Q(login__iexact=what.text) | Q(email__iexact=what.text) | Q(last_name__iexact=what.text)
    return User.objects.filter(named | Q(login__istartswith=what.text)).select_related("company").order_by("login")


def _sftp(what: Asked) -> QuerySet[SftpAccount]:
    named = Q(login__iexact=what.text) | Q(email__iexact=what.text)
    return SftpAccount.objects.filter(named).select_related("company").order_by("login")


def _orders(what: Asked) -> QuerySet[PaymentOrder]:
    return PaymentOrder.objects.filter(pk__in=what.orders).select_related("shop__company").order_by("-created_at")


def _documents(what: Asked) -> QuerySet[BillingDocument]:
    documents = BillingDocument.objects.filter(number__iexact=what.text).defer("file", "lines")
    return documents.select_related("company", "shop").order_by("-issued_at")


def _events(what: Asked) -> QuerySet[Event]:
    return Event.objects.filter(pk__in=what.events).select_related("company", "shop").order_by("-accepted_at", "-pk")


def _health(what: Asked) -> QuerySet[AddressHealth]:
    rows = AddressHealth.objects.filter(normalised_address=what.normalised) if what.is_address else None
    return (rows if rows is not None else AddressHealth.objects.none()).select_related("company").order_by("company")


def _deliveries(what: Asked) -> QuerySet[Delivery]:
    """By key or Message-ID, queue identifier, event, payment; by a whole address or its beginning."""
    keys: set[Any] = {what.key} if what.key else set()
    keys |= set(lookups.deliveries_queued_as(what.text))
    conditions = [Q(pk__in=keys)] if keys else []
    if what.events:
        conditions.append(Q(event__in=what.events))
    if "@" in what.text and what.key is None:
        conditions.append(endless.begins("normalised_address", what.normalised))
    newest_keys: set[Any] = set()
    for one in conditions:
        newest = Delivery.objects.filter(one).order_by("-created_at", "-pk")
        newest_keys |= set(newest.values_list("pk", flat=True)[: SHOWN + 1])
    rows = Delivery.objects.filter(pk__in=newest_keys).select_related("company", "shop")
    return rows.order_by("-created_at", "-pk")


def _tokens(what: Asked) -> QuerySet[ApiToken]:
    rows = ApiToken.objects.filter(Q(name__iexact=what.text) | Q(prefix__iexact=what.text[: ApiToken.SHOWN]))
    return rows.select_related("company").order_by("name")


def _about(*parts: object) -> str:
    return " · ".join(str(part) for part in parts if part)


@dataclass(frozen=True)
class Kind:
    """A kind of object that is searched for.

    Attributes:
        find: its rows, in order; within bounds by itself or by an index.
        say: label, what tells it apart, state.
        is_listed: whether its list finds the same by the same words.
    """

    model: type[Model]
    find: Callable[[Asked], QuerySet[Any]]
    say: Callable[[Any], tuple[object, str, str]]
    is_listed: bool = True
    label: Promise | None = None


def _state(obj: Any) -> str:
    return str(obj.State(obj.state).label)


KINDS: tuple[Kind, ...] = (
    Kind(Company, _companies, lambda one: (one.name, one.reference, one.get_status_display())),
    Kind(Shop, _shops, lambda one: (one.site_id, _about(one.name, one.company), one.get_status_display())),
    Kind(User, _users, lambda one: (one.login, _about(one.get_full_name(), one.email, one.company), _state(one))),
    Kind(SftpAccount, _sftp, lambda one: (one.login, _about(one.email, one.company), _state(one))),
    Kind(
        AddressHealth,
        _health,
        lambda one: (one.normalised_address, str(one.company), one.get_state_display()),
        label=gettext_lazy("Santé de l'adresse"),
    ),
    Kind(
        Delivery,
        _deliveries,
        lambda one: (
            one,
            _about(times.exact(one.created_at), one.company, one.shop),
            one.get_status_display(),
        ),
    ),
    Kind(
        Event,
        _events,
        lambda one: (
            one.event_id,
            _about(wording.trigger_label(one.type), times.exact(one.accepted_at), one.company, one.shop),
            one.mode,
        ),
        is_listed=False,
    ),
    Kind(
        PaymentOrder,
        _orders,
        lambda one: (one.reference, _about(one.transaction_id, one.shop, one.shop.company), str(one.state_label)),
        is_listed=False,
    ),
    Kind(
        BillingDocument,
        _documents,
        lambda one: (one.number, _about(one.get_kind_display(), one.company, one.shop), ""),
    ),
    Kind(ApiToken, _tokens, lambda one: (one.name, _about(one.prefix, one.company), _state(one))),
)


def may_view(request: HttpRequest, model: type[Model]) -> bool:
    """Whether somebody of the team may look at the objects of a model."""
    return admin.site.get_model_admin(model).has_view_permission(request)


def page_of(model: type[Model], page: str, *args: object) -> str:
    """The address of a page of the staff site about a model."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def list_of(model: type[Model], **asked_for: str | int) -> str:
    """The address of the list of a model under filters."""
    query = f"?{urlencode(asked_for)}" if asked_for else ""
    return page_of(model, "changelist") + query


def groups(request: HttpRequest, what: Asked) -> list[SearchGroup]:
    """What was found, by kind, as far as the reader may look at it; nothing for an empty search."""
    if not what.text:
        return []
    by_kind = [_group(kind, what) for kind in KINDS if may_view(request, kind.model)]
    return [group for group in (_everywhere(request, what), *by_kind) if group.hits]


def _everywhere(request: HttpRequest, what: Asked) -> SearchGroup:
    """The page that says where an address is configured and what it received, in all companies."""
    may = may_view(request, Delivery) and may_view(request, Company)
    if not (what.is_address and may and what.key is None):
        return SearchGroup(_("Adresse"), ())
    url = f"{reverse('admin:support_addresses')}?{urlencode({'q': what.text})}"
    about = _("où elle est configurée, ce qu'elle reçoit et ce qu'elle a reçu, dans toutes les sociétés")
    return SearchGroup(_("Adresse"), [SearchHit(what.text, url, about)])


def _group(kind: Kind, what: Asked) -> SearchGroup:
    rows = list(kind.find(what)[: SHOWN + 1])
    hits = []
    for obj in rows[:SHOWN]:
        label, about, state = kind.say(obj)
        hits.append(SearchHit(str(label), page_of(kind.model, "change", obj.pk), about, state))
    is_more = len(rows) > SHOWN and kind.is_listed
    label = kind.label or capfirst(kind.model._meta.verbose_name_plural)
    return SearchGroup(str(label), hits, list_of(kind.model, q=what.text) if is_more else "")
