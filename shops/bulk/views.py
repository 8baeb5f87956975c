"""« Modifier en masse »: download of the shops as a file, upload, what it changes, one save."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib import messages
from django.core.cache import caches
from django.core.exceptions import ValidationError
from django.http import HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backoffice.base import csv_files
from backoffice.base.methods import get_and_post
from companies import audit
from companies.audit import Actor
from companies.history.taking_back import undo_link
from companies.models import Company
from companies.rights import permissions
from companies.rights.access import (
    CompanyRequest,
    company_page,
    open_shops_of,
    refuse_where_all_is_closed,
    shops_of,
)
from notifications import settings_facts
from notifications.core.facts import CompanyFacts, ShopFacts
from notifications.tables import effects
from shops.bulk import services
from shops.bulk.files import COLUMNS, Sheet, SheetRow, csv_rows, read_sheet, text_of
from shops.bulk.forms import FileForm, SheetForm
from shops.models import Shop

# Changes that are shown one by one; the others are counted, and stand in the file.
NAMED_ROWS = 25
# Not the data base's cache: what a transaction writes there nobody reads before its end.
PROGRESS_CACHE = "progress"
# Shops between two notes of how far a save is, and the seconds for which a note is kept.
TOLD_EVERY, PROGRESS_LIFE = 10, 300


@dataclass
class _Upload:
    """What the page shows of a file."""

    problems: list[str] = field(default_factory=list)
    sheet: Sheet | None = None
    content: str = ""
    effect: effects.EffectPanel = effects.EMPTY
    question: effects.GapQuestion | None = None


@company_page(permissions.EDIT_SETTINGS)
@get_and_post
def shops_bulk(request: CompanyRequest) -> HttpResponseBase:
    """The page; a file is first shown with what it changes, then saved."""
    refuse_where_all_is_closed(request.membership, permissions.EDIT_SETTINGS)
    if (token := request.GET.get("progress")) is not None:
        return _told_progress(request, token)
    if request.GET.get("format") == "csv":
        shops = open_shops_of(request.membership, permissions.EDIT_SETTINGS)
        stem = f"boutiques-{request.company.reference}"
        return csv_files.csv_response(csv_rows(shops), stem, plain=csv_files.is_plain(request))
    form, page = FileForm(), _Upload()
    if request.method == "POST" and "content" in request.POST:
        page, saved = _sent_again(request)
        if saved is not None:
            return saved
    elif request.method == "POST":
        form = FileForm(request.POST, request.FILES)
        if form.is_valid():
            page = _checked_file(request, form)
    return render(request, "shops/bulk/bulk.html", _context(request, form, page))


def _context(request: CompanyRequest, form: FileForm, page: _Upload) -> dict[str, Any]:
    rows = page.sheet.rows if page.sheet else []
    return {
        "form": form,
        "columns": COLUMNS,
        "count": open_shops_of(request.membership, permissions.EDIT_SETTINGS).count(),
        "problems": page.problems,
        "sheet": page.sheet,
        "rows": rows[:NAMED_ROWS],
        "unnamed": max(0, len(rows) - NAMED_ROWS),
        "content": page.content,
        "seen": _stamp(rows),
        "effect": page.effect,
        "question": page.question,
        "progress": secrets.token_urlsafe(16),
    }


# --- A file ---------------------------------------------------------------------------------------


def _checked_file(request: CompanyRequest, form: FileForm) -> _Upload:
    try:
        content = text_of(form.cleaned_data["file"].read())
    except ValidationError as error:
        return _Upload(error.messages)
    return _checked(request, content)


def _checked(request: CompanyRequest, content: str) -> _Upload:
    """What a file would change; nothing is written."""
    sheet = _sheet(request, content)
    if sheet.problems:
        return _Upload(sheet.problems)
    page = _Upload(sheet=sheet, content=content)
    if sheet.rows:
        facts = _reads(request, sheet.rows)()
        page.effect = effects.compared(facts, _imagined(facts, sheet.rows))
    return page


def _imagined(facts: CompanyFacts, rows: list[SheetRow]) -> CompanyFacts:
    """The facts as the rows would leave them: each was judged already, so hundreds need not be tried."""
    given = {row.shop.site_id: row.fields for row in rows}
    return replace(facts, shops=tuple(_shop_with(shop, given.get(shop.site_id, {})) for shop in facts.shops))


def _shop_with(shop: ShopFacts, fields: dict[str, Any]) -> ShopFacts:
    changed = {name: value for name, value in fields.items() if name in ("name", "language")}
    if "manager_email" in fields:
        return replace(shop, manager_email=fields["manager_email"] or None, **changed)
    return replace(shop, **changed)


def _sheet(request: CompanyRequest, content: str) -> Sheet:
    shops = {shop.site_id: shop for shop in open_shops_of(request.membership, permissions.EDIT_SETTINGS)}
    seen = set(shops_of(request.membership).values_list("site_id", flat=True))
    return read_sheet(content, shops, closed=seen - set(shops))


def _reads(request: CompanyRequest, rows: list[SheetRow]) -> effects.Read:
    """Reads the shops that the rows name; no other changes."""
    keys = [row.shop.pk for row in rows]

    def read() -> CompanyFacts:
        company = Company.objects.get(pk=request.company.pk)
        shops = shops_of(request.membership)
        # A short list is named in the query; SQLite bounds its parameters.
        if len(keys) <= 100:
            shops = shops.filter(pk__in=keys)
        return settings_facts.company_facts(company, shops=shops, accounts=False)

    return read


def _stamp(rows: list[SheetRow]) -> str:
    """The state of the shops that a file was compared with."""
    return audit.stamp(*((row.shop.site_id, row.shop.version) for row in rows))


def _sent_again(request: CompanyRequest) -> tuple[_Upload, HttpResponse | None]:
    """The file of the page before, to be saved; the page with why not, or the answer."""
    form = SheetForm(request.POST)
    if not form.is_valid():
        return _Upload([_("La page est incomplète : envoyez de nouveau le fichier.")]), None
    content = form.cleaned_data["content"]
    sheet = _sheet(request, content)
    if sheet.problems or not sheet.rows:
        return _checked(request, content), None
    if form.cleaned_data["seen"] != _stamp(sheet.rows):
        page = _checked(request, content)
        page.problems = [
            _("Des boutiques ont été modifiées entre-temps : voici ce que le fichier change maintenant, vérifiez-le.")
        ]
        return page, None
    try:
        return _Upload(), _saved(request, sheet)
    except effects.Unconfirmed as error:
        page = _checked(request, content)
        page.problems, page.question = error.messages, error.question
    except ValidationError as error:
        page = _Upload(error.messages)
    return page, None


def _saved(request: CompanyRequest, sheet: Sheet) -> HttpResponse:
    actor = Actor.of(request)
    with audit.collected() as entries:
        done = effects.saved(
            _reads(request, sheet.rows),
            lambda: services.shops_update(rows=sheet.rows, actor=actor, progress=_teller(request)),
            actor=actor,
            company=request.company,
            confirmed=request.POST.get(effects.CONFIRMED, ""),
        )
    text = ngettext("%(n)d boutique modifiée.", "%(n)d boutiques modifiées.", done.answer) % {"n": done.answer}
    link = undo_link(request.membership, [entry.pk for entry, obj in entries if isinstance(obj, Shop)])
    messages.success(request, format_html("{} {} {}", text, done.sentence, link))
    return redirect("shops")


# --- How far a save is ----------------------------------------------------------------------------


def _progress_key(request: CompanyRequest, token: str) -> str:
    return f"bulk-{request.user.pk}-{token[:40]}"


def _teller(request: CompanyRequest) -> Callable[[int, int], None]:
    """What keeps how many shops are done where another request reads it while the transaction is open."""
    token = request.POST.get("progress", "")
    told = caches[PROGRESS_CACHE]

    def tell(done: int, total: int) -> None:
        if token and (done % TOLD_EVERY == 0 or done == total):
            told.set(_progress_key(request, token), (done, total), PROGRESS_LIFE)

    return tell


def _told_progress(request: CompanyRequest, token: str) -> HttpResponse:
    done, total = caches[PROGRESS_CACHE].get(_progress_key(request, token)) or (0, 0)
    return JsonResponse({"done": done, "total": total})
