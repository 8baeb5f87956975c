"""Paramétrage > Boutique > Clés: the test phase, form and REST keys, signature algorithms."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from backoffice.base.forms import add_errors
from backoffice.base.methods import get_and_post
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.history import entries as history
from companies.rights import permissions
from companies.rights.access import CompanyRequest, company_page, shop_or_404, shops_of
from companies.rights.reauthentication import ask_again, ask_before_saving, asked_to_prove
from shops import selectors, services
from shops.forms import AlgorithmForm, KeyFormatForm, TestsDoneForm
from shops.models import Shop, ShopKey

_Kind = ShopKey.Kind
# Short labels on the page, where the section already says REST and the column the mode.
LABELS = {
    _Kind.TEST: gettext_lazy("Clé de test"),
    _Kind.PRODUCTION: gettext_lazy("Clé de production"),
    _Kind.REST_TEST: gettext_lazy("Mot de passe de test"),
    _Kind.REST_PRODUCTION: gettext_lazy("Mot de passe de production"),
    _Kind.PUBLIC_TEST: gettext_lazy("Clé publique de test"),
    _Kind.PUBLIC_PRODUCTION: gettext_lazy("Clé publique de production"),
    _Kind.HMAC_TEST: gettext_lazy("Clé HMAC-SHA-256 de test"),
    _Kind.HMAC_PRODUCTION: gettext_lazy("Clé HMAC-SHA-256 de production"),
}
# Names of sets of keys in addresses; a single key goes by its kind.
REST_SETS = {"rest-set-test": ShopKey.REST["test"], "rest-set-production": ShopKey.REST["production"]}


@company_page(permissions.MANAGE_KEYS)
@get_and_post
def keys(request: CompanyRequest, site_id: str) -> HttpResponse:
    shop = shop_or_404(request, site_id, permissions.MANAGE_KEYS)
    if request.GET.get("part") == "tests":
        return render(request, "shops/keys/key_tests.html", _tests(shop))
    if (first := ask_before_saving(request, request.path, AlgorithmForm.SAVED)) is not None:
        return first
    before = asked_to_prove(request, (*AlgorithmForm.SAVED, *TestsDoneForm.SAVED))
    form = AlgorithmForm(request.POST if request.method == "POST" else None, shop=shop, typed=before)
    if request.method == "POST" and form.is_valid() and _algorithms_save(request, shop, form):
        return redirect("shop_keys", site_id)
    tests_form = TestsDoneForm(initial=before or {})
    return _page(
        request, shop_or_404(request, site_id), form=form, tests_form=tests_form, to_confirm=_to_confirm(before)
    )


def _to_confirm(before: dict[str, str] | None) -> str:
    """Which form a proof of identity was asked for: "algorithm", "tests" or none."""
    if before is None:
        return ""
    return "tests" if before.get("reason") else "algorithm"


def _algorithms_save(request: CompanyRequest, shop: Shop, form: AlgorithmForm) -> bool:
    fields = {name: form.cleaned_data[name] for name in form.SAVED}
    try:
        changes = services.shop_update(shop=shop, actor=Actor.of(request), seen=form.cleaned_data["version"], **fields)
    except StaleVersion:
        conflicts.tell(
            request, form, AlgorithmForm(shop=shops_of(request.membership).get(pk=shop.pk)), ("shop", shop.pk)
        )
        return False
    if changes:
        messages.success(
            request,
            _("Algorithme de signature enregistré. Les signatures de l'ancien restent acceptées pendant 24 heures."),
        )
    else:
        messages.info(request, _("Rien n'a changé."))
    return True


def _tests(shop: Shop) -> dict[str, Any]:
    """The state of the test phase; the payments are read only while they decide something."""
    key = _Kind.PRODUCTION in selectors.keys_of(shop)
    over = key or shop.tests_done_at is not None
    return {
        "shop": shop,
        "over": over,
        "has_production_key": key,
        "tests": None if over else selectors.tests_progress(shop),
    }


def _page(
    request: CompanyRequest,
    shop: Shop,
    *,
    form: AlgorithmForm,
    tests_form: TestsDoneForm | None = None,
    to_confirm: str = "",
) -> HttpResponse:
    kept = selectors.keys_of(shop)
    tests = _tests(shop)
    available = tests["over"] or tests["tests"].done

    def row(kind: str) -> dict[str, Any]:
        key = kept.get(kind)
        return {
            "kind": kind,
            "label": LABELS[_Kind(kind)],
            "key": key,
            "available": key is not None or kind != _Kind.PRODUCTION or available,
        }

    now = timezone.now()
    context = {
        **tests,
        "form": form,
        "tests_form": tests_form or TestsDoneForm(),
        "to_confirm": to_confirm,
        "form_keys": [row(kind) for kind in ShopKey.FORM],
        "rest_keys": [
            {
                "mode": mode.upper(),
                "set": f"rest-set-{mode}",
                "rows": [row(kind) for kind in kinds if kind in kept],
                "missing": [LABELS[kind] for kind in kinds if kind not in kept],
                "available": mode == "test" or _Kind.PRODUCTION in kept,
            }
            for mode, kinds in ShopKey.REST.items()
        ],
        "overlaps": [
            (mode, shop.accepted_algorithms(mode, now)[-1], end)
            for mode in ("TEST", "PRODUCTION")
            if (end := shop.former_algorithm_until(mode, now))
        ],
        "former_keys": [
            (LABELS[_Kind(kind)], key.former_until)
            for kind, key in kept.items()
            if key.former_until is not None and key.former_until > now
        ],
        "rest_server": settings.REST_API_SERVER,
    }
    return render(request, "shops/keys/keys.html", context)


@company_page(permissions.MANAGE_KEYS)
@require_POST
def tests_done(request: CompanyRequest, site_id: str) -> HttpResponse:
    """An administrator declares the test phase done, with a reason."""
    shop = shop_or_404(request, site_id, permissions.MANAGE_KEYS)
    page = reverse("shop_keys", args=[site_id])
    if (first := ask_before_saving(request, page, TestsDoneForm.SAVED)) is not None:
        return first
    form = TestsDoneForm(request.POST)
    if form.is_valid():
        try:
            done = services.tests_mark_done(shop=shop, actor=Actor.of(request), reason=form.cleaned_data["reason"])
        except ValidationError as error:
            add_errors(form, error)
        else:
            if done:
                messages.success(
                    request, _("La phase de test est terminée : vous pouvez générer la clé de production.")
                )
            else:
                # Somebody else was faster, and their reason stands.
                conflicts.tell_by_message(request, ("shop", shop.pk))
            return redirect("shop_keys", site_id)
    return _page(request, shop, form=AlgorithmForm(shop=shop), tests_form=form)


def _kinds(name: str, kept: dict[str, ShopKey]) -> list[str]:
    """The kinds that a name in an address stands for; of a set, those that are missing."""
    if name in REST_SETS:
        return [kind for kind in REST_SETS[name] if kind not in kept]
    if name in _Kind.values:
        return [name]
    raise Http404


@company_page(permissions.MANAGE_KEYS)
@get_and_post
@sensitive_variables("values", "shown")
def generate(request: CompanyRequest, site_id: str, name: str) -> HttpResponse:
    """Confirm who one is, read the consequences, generate; the answer to the form shows the key, once."""
    shop = shop_or_404(request, site_id, permissions.MANAGE_KEYS)
    kept = selectors.keys_of(shop)
    kinds = _kinds(name, kept)
    reasons = [reason for kind in kinds if (reason := services.unavailable(shop, kind, kept))]
    if reasons and request.method != "POST":
        messages.warning(request, reasons[0])
        return redirect("shop_keys", site_id)
    if not kinds and request.method != "POST":
        return redirect("shop_keys", site_id)
    if (first := ask_again(request)) is not None:
        return first
    seen = {kind: kept[kind].generation if kind in kept else 0 for kind in kinds}
    data = request.POST if request.method == "POST" else None
    form = KeyFormatForm(data, with_format=name in ShopKey.FORM, initial={"seen": seen})
    if data is not None and form.is_valid():
        wanted = [kind for kind in form.cleaned_data["seen"] if kind in _names(name)]
        if not wanted:
            return redirect("shop_keys", site_id)
        try:
            values = services.keys_generate(
                shop=shop,
                kinds=wanted,
                actor=Actor.of(request),
                seen=form.cleaned_data["seen"],
                key_format=form.cleaned_data.get("key_format", services.KeyFormat.ALPHANUMERIC),
            )
        except services.KeyAlreadyChanged as error:
            entry = history.newest_on(shop, "shopkey")
            by = _("Dernière modification : %(who)s.") % {"who": history.actor_words(entry)} if entry else ""
            messages.error(request, " ".join([*error.messages, by]).strip())
            return redirect("shop_keys", site_id)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("shop_keys", site_id)
        return _shown(request, shop, values)
    context = {
        "shop": shop,
        "form": form,
        "name": name,
        "labels": [LABELS[_Kind(kind)] for kind in kinds],
        "again": any(kind in kept for kind in kinds),
        "mode": "PRODUCTION" if name.endswith("production") else "TEST",
        "is_form_key": name in ShopKey.FORM,
        "signs_calls": name in ShopKey.SIGNING,
        "mails": name == _Kind.PRODUCTION,
    }
    return render(request, "shops/keys/key_generate.html", context)


def _names(name: str) -> tuple[str, ...]:
    return tuple(REST_SETS.get(name, (name,)))


def _shown(request: HttpRequest, shop: Shop, values: dict[str, str]) -> HttpResponse:
    """The one page that holds keys in plain."""
    shown = [(LABELS[_Kind(kind)], kind, value) for kind, value in values.items()]
    response = render(request, "shops/keys/key_shown.html", {"shop": shop, "shown": shown})
    response.headers["Cache-Control"] = "no-store, private"
    return response


@company_page(permissions.MANAGE_KEYS)
@get_and_post
@sensitive_variables("value")
def show(request: CompanyRequest, site_id: str, name: str) -> HttpResponse:
    """Show a key for the first time: the test key of a new shop, or one from a file."""
    shop = shop_or_404(request, site_id, permissions.MANAGE_KEYS)
    key = selectors.keys_of(shop).get(name)
    if key is None:
        raise Http404
    if key.shown_at is not None:
        messages.warning(request, _("Cette clé a déjà été affichée ; régénérez-la si vous ne l'avez pas notée."))
        return redirect("shop_keys", site_id)
    if (first := ask_again(request)) is not None:
        return first
    if request.method == "POST":
        value = services.key_show(shop=shop, kind=name, actor=Actor.of(request))
        if value is None:
            messages.warning(request, _("Cette clé a déjà été affichée ; régénérez-la si vous ne l'avez pas notée."))
            return redirect("shop_keys", site_id)
        return _shown(request, shop, {name: value})
    return render(request, "shops/keys/key_show.html", {"shop": shop, "label": LABELS[_Kind(name)]})
