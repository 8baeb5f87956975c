"""Reads of data collection forms: of a shop, of a membership, of the public link."""

from typing import Any

from django.core import signing
from django.db.models import Q, QuerySet

from companies.models import Membership
from companies.rights import access
from shops import dataform_content as content
from shops.dataform_content import Content
from shops.models import DataCollectionForm, DataFormAnswer, DataFormVersion, Shop, ShopKey

_PREVIEW_SALT = "dataforms.preview"
# A preview link may be passed on to a colleague; it stops by itself.
PREVIEW_SECONDS = 7 * 24 * 3600


def form_of(shop: Shop) -> DataCollectionForm:
    """The form of a shop; an unsaved one if it has none."""
    form = DataCollectionForm.objects.filter(shop=shop).first()
    if form is None:
        form = DataCollectionForm(shop=shop, draft=content.to_json(content.default(shop.name)))
    else:
        form.shop = shop
    return form


def draft_of(form: DataCollectionForm) -> Content:
    return content.from_json(form.draft)


def content_of(version: DataFormVersion) -> Content:
    return content.from_json(version.content)


def versions(form: DataCollectionForm) -> QuerySet[DataFormVersion]:
    return DataFormVersion.objects.filter(form_id=form.pk) if form.pk else DataFormVersion.objects.none()


def live_version(form: DataCollectionForm) -> DataFormVersion | None:
    return versions(form).filter(state=DataFormVersion.State.LIVE).first()


def requested_version(form: DataCollectionForm) -> DataFormVersion | None:
    return versions(form).filter(state=DataFormVersion.State.REQUESTED).first()


def in_production(shop: Shop) -> bool:
    """Whether the merchant puts the form online alone: the shop has a production key, or staff once
    confirmed a form of it (reference, settings screens 6.2)."""
    if ShopKey.objects.filter(shop=shop, kind=ShopKey.Kind.PRODUCTION).exists():
        return True
    return DataFormVersion.objects.filter(form__shop=shop, state__in=DataFormVersion.PUBLISHED).exists()


def by_token(token: str) -> DataCollectionForm | None:
    # What is no token is not asked of the database, which may refuse its characters.
    if not token.isascii() or not token.isprintable():
        return None
    return DataCollectionForm.objects.select_related("shop__company").filter(token=token).first()


def preview_token(form: DataCollectionForm, version: DataFormVersion | None = None) -> str:
    """Signs the link to a preview: of the draft, or of one version."""
    return signing.dumps([form.token, version.pk if version else None], salt=_PREVIEW_SALT)


def by_preview_token(signed: str) -> tuple[DataCollectionForm, DataFormVersion | None] | None:
    """What a preview link shows; None for a forged or old one, or a version that is no longer there."""
    try:
        token, key = signing.loads(signed, salt=_PREVIEW_SALT, max_age=PREVIEW_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    form = by_token(token)
    if form is None or key is None:
        return (form, None) if form else None
    version = versions(form).filter(pk=key).first()
    return (form, version) if version else None


# --- Answers --------------------------------------------------------------------------------------


def answers(form: DataCollectionForm, *, mode: str = "", q: str = "") -> QuerySet[DataFormAnswer]:
    """The answers to a form with their orders, newest first; `q` looks at all that was entered and
    at the reference of the order."""
    if not form.pk:
        return DataFormAnswer.objects.none()
    rows = DataFormAnswer.objects.filter(form=form).select_related("order")
    if mode:
        rows = rows.filter(mode=mode)
    if q:
        # Stored in lower case: databases differ in what they hold for the same letter.
        rows = rows.filter(Q(search__contains=q.lower()) | Q(order__reference__icontains=q))
    return rows.order_by("-created_at", "-pk")


def answer_of(membership: Membership, shop: Shop, key: Any) -> DataFormAnswer | None:
    mine = DataFormAnswer.objects.filter(form__shop=shop, form__shop__in=access.shops_of(membership))
    return mine.select_related("order", "form__shop__company", "version").filter(pk=key).first()


def answer_columns(form: DataCollectionForm) -> dict[str, str]:
    """code → label of every field that any answer may hold: of all versions, then of the draft."""
    contents = [
        content.from_json(stored) for stored in versions(form).order_by("-number").values_list("content", flat=True)
    ]
    columns: dict[str, str] = {}
    for known in [*contents, draft_of(form)]:
        for item in known.shown:
            columns.setdefault(item.code, item.title)
    return columns
