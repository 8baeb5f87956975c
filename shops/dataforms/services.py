"""Writes of data collection forms: one transaction each, audited, announced through `publish`.

The worker's clock erases answers whose time is over.
"""

import calendar
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from companies import audit, status
from companies.audit import Actor, Changes, StaleVersion
from notifications.events.publishing import publish
from notifications.mail.composers.base import amount_text
from shops import dataform_content as content
from shops.dataform_content import Content, FormField
from shops.dataforms import selectors
from shops.models import DataCollectionForm, DataFormAnswer, DataFormVersion, PaymentOrder, Shop
from shops.orders import services as order_services
from shops.orders.selectors import closed_reason

State = DataFormVersion.State


def public_url(form: DataCollectionForm) -> str:
    return str(settings.BASE_URL + reverse("data_form_public", args=[form.token]))


# --- The draft ------------------------------------------------------------------------------------


@transaction.atomic
def draft_change(
    *,
    shop: Shop,
    actor: Actor,
    seen: int,
    change: Callable[[Content], Content],
    action: str = "data_form.updated",
) -> tuple[DataCollectionForm, Changes]:
    """Change the draft of a shop's form; creates the form with the first change.

    Args:
        seen: the version the writer saw; 1 for a form that nobody has worked on yet.
        change: gives the new content from the present one.

    Returns:
        The form, and what changed in words of the history.

    Raises:
        StaleVersion: somebody else has changed the draft since.
        ValidationError: the new content cannot be stored.
    """
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    form = _locked(shop)
    if form.version != seen:
        raise StaleVersion
    before = selectors.draft_of(form)
    after = change(before)
    if problems := list(content.faults(after)):
        raise ValidationError(_("Ce formulaire ne peut pas être enregistré : %(why)s.") % {"why": "; ".join(problems)})
    changes = _differences(before, after)
    if not changes:
        return form, changes
    form.draft = content.to_json(after)
    form.version += 1
    _save(form)
    audit.record(actor=actor, action=action, obj=form, company=shop.company, changes=changes)
    return form, changes


def field_add(*, shop: Shop, actor: Actor, seen: int, code: str) -> DataCollectionForm:
    """Put a field of the list of available fields into the form, as an optional one."""

    def change(draft: Content) -> Content:
        if code not in draft.available:
            raise ValidationError(_("Ce champ est déjà dans le formulaire, ou n'existe pas."))
        return content.with_field(draft, content.from_list(code))

    return draft_change(shop=shop, actor=actor, seen=seen, change=_room(change))[0]


def own_field_add(*, shop: Shop, actor: Actor, seen: int, label: str, kind: str) -> tuple[DataCollectionForm, str]:
    """Create a field of the merchant's own; returns the form and the field's code.

    Raises ValidationError for `label` or `kind`.
    """
    label = label.strip()
    if not label:
        raise ValidationError({"label": _("Donnez un nom à votre champ.")})
    if len(label) > content.MAX_LABEL:
        raise ValidationError(
            {
                "label": _("« %(value)s… » : un nom de champ compte au plus %(max)d caractères.")
                % {"value": label[:30], "max": content.MAX_LABEL}
            }
        )
    if kind not in content.OWN_KINDS:
        raise ValidationError({"kind": _("Choisissez un type de champ.")})
    codes: list[str] = []

    def change(draft: Content) -> Content:
        codes.append(content.free_code(draft))
        return content.with_field(draft, FormField(codes[0], kind, label={shop.language: label}))

    return draft_change(shop=shop, actor=actor, seen=seen, change=_room(change))[0], codes[0]


def field_act(*, shop: Shop, actor: Actor, seen: int, code: str, action: str) -> DataCollectionForm:
    """One button of a field: up, down, required, optional, copy, remove. ValidationError for another."""

    def change(draft: Content) -> Content:
        item = draft.find(code)
        if item is None:
            raise ValidationError(_("Ce champ n'est plus dans le formulaire."))
        match action:
            case "up" | "down":
                return content.moved(draft, code, -1 if action == "up" else 1)
            case "required" | "optional":
                # To the end of its new group, where it is looked for.
                without = content.without_field(draft, code)
                return content.with_field(without, replace(item, required=action == "required"))
            case "copy":
                return _copied(draft, item)
            case "remove":
                return content.without_field(draft, code)
        raise ValidationError(_("Cette action n'existe pas."))

    wrapped = _room(change) if action == "copy" else change
    return draft_change(shop=shop, actor=actor, seen=seen, change=wrapped)[0]


def _copied(draft: Content, item: FormField) -> Content:
    """« Copier »: a field of one's own with the same settings, behind the others of its group."""
    label = {}
    for language in content.LANGUAGES:
        with translation.override(language):
            label[language] = (_("%(name)s (copie)") % {"name": item.title})[: content.MAX_LABEL]
    kind = item.kind if item.kind in content.OWN_KINDS else "text"
    copy = replace(item, code=content.free_code(draft), kind=kind, label=label, max_length=item.longest)
    return content.with_field(draft, copy)


def _room(change: Callable[[Content], Content]) -> Callable[[Content], Content]:
    def checked(draft: Content) -> Content:
        if len(draft.fields) >= content.MAX_FIELDS:
            raise ValidationError(
                _("Un formulaire compte au plus %(max)d champs : retirez-en un d'abord.") % {"max": content.MAX_FIELDS}
            )
        return change(draft)

    return checked


def field_configure(*, shop: Shop, actor: Actor, seen: int, item: FormField) -> tuple[DataCollectionForm, Changes]:
    """Store the options of one field of the draft."""

    def change(draft: Content) -> Content:
        if draft.find(item.code) is None:
            raise ValidationError(_("Ce champ n'est plus dans le formulaire."))
        return content.with_field(draft, item)

    return draft_change(shop=shop, actor=actor, seen=seen, change=change)


@transaction.atomic
def copy_live_to_draft(
    *, shop: Shop, actor: Actor, seen: int | str | None = None
) -> tuple[DataCollectionForm, Changes]:
    """« Copier le formulaire en ligne vers l'environnement de test »: the draft becomes what is online.

    Args:
        seen: the draft's version, or the `state_stamp`, that the writer saw; StaleVersion when it moved on.
    """
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    form = _locked(shop)
    audit.check_seen(seen, form.version if isinstance(seen, int) else state_stamp(form))
    live = selectors.live_version(form)
    if live is None:
        raise ValidationError(_("Aucune version de ce formulaire n'est en ligne."))
    online = selectors.content_of(live)
    return draft_change(
        shop=shop, actor=actor, seen=form.version, change=lambda draft: online, action="data_form.copied"
    )


# --- Online ---------------------------------------------------------------------------------------


@transaction.atomic
def go_live(*, shop: Shop, actor: Actor, seen: int) -> DataFormVersion:
    """« Demander la mise en ligne » of a shop still in TEST, « Mettre en ligne » of one in production.

    The draft is frozen in a version. Asked for, it waits for the platform's staff and the Contact
    gestionnaire is told (`data_form_go_live`); made by the merchant, it is online at once and both
    notifications leave (docs/rules.md 3).

    Raises:
        StaleVersion: the draft is not the one that the writer saw.
        ValidationError: with every reason why it may not go online.
    """
    form = _locked(shop)
    if form.version != seen:
        raise StaleVersion
    draft = selectors.draft_of(form)
    problems = [str(problem) for problem in content.missing(draft)]
    if reason := closed_reason(shop):
        problems.append(reason)
    if selectors.requested_version(form) is not None:
        problems.append(_("Une demande de mise en ligne est déjà en cours."))
    live = selectors.live_version(form)
    if live is not None and live.content == content.to_json(draft):
        problems.append(_("Le formulaire en ligne est déjà celui-ci : rien n'a changé."))
    if problems:
        raise ValidationError(problems)
    if form._state.adding:
        _save(form)
    alone = selectors.in_production(shop)
    now = timezone.now()
    asked = DataFormVersion(
        form=form,
        number=(selectors.versions(form).order_by("-number").values_list("number", flat=True).first() or 0) + 1,
        content=content.to_json(draft),
        state=State.REQUESTED,
        asked_at=now,
        asked_by=actor.label[:200],
    )
    if alone:
        _replace_live(form, now)
        asked.state, asked.live_at = State.LIVE, now
        asked.decided_at, asked.decided_by = now, asked.asked_by
    asked.save(force_insert=True)
    _record(asked, actor, "data_form.published" if alone else "data_form.requested")
    publish(
        type="data_form.published" if alone else "data_form.requested",
        company=shop.company,
        shop=shop,
        data=_told(asked, actor),
    )
    return asked


@transaction.atomic
def request_approve(*, version: DataFormVersion, actor: Actor) -> DataFormVersion:
    """Staff put a requested version online; the Contact gestionnaire is told (`data_form_go_live_confirmation`).

    From then on the shop publishes alone. Raises ValidationError when it is no request any more, or
    the shop is not active.
    """
    asked = _locked_request(version)
    if reason := closed_reason(asked.form.shop):
        raise ValidationError(reason)
    now = timezone.now()
    _replace_live(asked.form, now)
    asked.state, asked.live_at = State.LIVE, now
    asked.decided_at, asked.decided_by = now, actor.label[:200]
    asked.save()
    _record(asked, actor, "data_form.confirmed")
    publish(
        type="data_form.confirmed",
        company=asked.form.shop.company,
        shop=asked.form.shop,
        data=_told(asked, actor),
    )
    return asked


@transaction.atomic
def request_refuse(*, version: DataFormVersion, actor: Actor, reason: str) -> DataFormVersion:
    """Staff refuse a requested version; the merchant reads the reason on the page of the form."""
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": _("Indiquez au marchand pourquoi la mise en ligne est refusée.")})
    asked = _locked_request(version)
    asked.state, asked.reason = State.REFUSED, reason
    asked.decided_at, asked.decided_by = timezone.now(), actor.label[:200]
    asked.full_clean()
    asked.save()
    _record(asked, actor, "data_form.refused", {"reason": [None, reason]})
    return asked


def state_stamp(form: DataCollectionForm) -> str:
    """The stamp of a form in a question: its draft, the live version, the requested one."""
    live, asked = selectors.live_version(form), selectors.requested_version(form)
    return audit.stamp(form.version, live and live.pk, asked and asked.pk)


@transaction.atomic
def request_cancel(*, shop: Shop, actor: Actor, seen: str | None = None) -> bool:
    """The merchant takes the request back; False when there is none.

    Args:
        seen: the `state_stamp` of what the writer saw; StaleVersion when the form is in another state now.
    """
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    form = _locked(shop)
    audit.check_seen(seen, state_stamp(form))
    asked = selectors.requested_version(form)
    if asked is None:
        return False
    asked.state = State.CANCELLED
    asked.decided_at, asked.decided_by = timezone.now(), actor.label[:200]
    asked.save()
    asked.form.shop = shop
    _record(asked, actor, "data_form.request_cancelled")
    return True


@transaction.atomic
def withdraw(*, shop: Shop, actor: Actor, seen: str | None = None) -> bool:
    """Take the form offline: its address says so; open orders stay. False when it is not online.

    Args:
        seen: the `state_stamp` of what the writer saw; StaleVersion when the form is in another state now.
    """
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    form = _locked(shop)
    audit.check_seen(seen, state_stamp(form))
    live = selectors.live_version(form)
    if live is None:
        return False
    live.state, live.ended_at = State.WITHDRAWN, timezone.now()
    live.save()
    live.form = form
    _record(live, actor, "data_form.withdrawn")
    return True


def _replace_live(form: DataCollectionForm, now: datetime) -> None:
    selectors.versions(form).filter(state=State.LIVE).update(state=State.REPLACED, ended_at=now)


def _told(version: DataFormVersion, actor: Actor) -> dict[str, Any]:
    """What mails about a version say of it."""
    shop = version.form.shop
    with translation.override(shop.language):
        title = content.in_language(selectors.content_of(version).title)
    return {"title": title, "number": version.number, "author": actor.label, "url": public_url(version.form)}


# --- Answers --------------------------------------------------------------------------------------


def answer_take(
    *,
    form: DataCollectionForm,
    version: DataFormVersion | None,
    values: dict[str, str],
    amount: int,
    language: str,
    nonce: str,
) -> DataFormAnswer:
    """Keep what a buyer entered and create the payment order it asks for, once per `nonce`.

    Args:
        version: the live version that was filled in; None for a trial of the draft, in TEST mode.
        values: checked entries by field code.
        amount: in the smallest unit of the form's currency.
        nonce: the identity of the page, made by us.

    Raises ValidationError when the shop takes no orders.
    """
    known = DataFormAnswer.objects.select_related("order").filter(nonce=nonce).first()
    if known is not None:
        return known
    shape = selectors.content_of(version) if version else selectors.draft_of(form)
    now = timezone.now()
    try:
        with transaction.atomic():
            return _answer_create(form, version, shape, values, amount, language, nonce, now)
    except IntegrityError:
        # The same page came in twice at the same moment.
        return DataFormAnswer.objects.select_related("order").get(nonce=nonce)


def answer_is_known(nonce: str) -> bool:
    """Whether the page of that identity was taken before."""
    return DataFormAnswer.objects.filter(nonce=nonce).exists()


def _answer_create(
    form: DataCollectionForm,
    version: DataFormVersion | None,
    shape: Content,
    values: dict[str, str],
    amount: int,
    language: str,
    nonce: str,
    now: datetime,
) -> DataFormAnswer:
    shop = form.shop
    with translation.override(shop.language):
        by = _("Formulaire de collecte de données")
        stored = [
            {"code": item.code, "label": item.title, "value": values[item.code]}
            for item in shape.shown
            if values.get(item.code)
        ]
    mode = "PRODUCTION" if version else "TEST"
    order = order_services.payment_order_create(
        shop=shop,
        actor=Actor(by),
        new=order_services.NewOrder(
            mode=mode,
            channel=PaymentOrder.Channel.URL,
            amount=amount,
            currency=shape.currency,
            recipients=[email] if (email := _email_of(shape, values)) else [],
            reference="FC" + order_services.new_reference(now)[2:],
            language=language,
            buyer_reference=values.get("reference", "")[:64],
            source=PaymentOrder.Origin.DATA_FORM,
        ),
    )[0]
    return DataFormAnswer.objects.create(
        form=form,
        version=version,
        mode=mode,
        order=order,
        nonce=nonce,
        values=stored,
        search=" ".join(str(item["value"]) for item in stored).lower(),
        language=language,
        privacy_url=shape.privacy_url,
        created_at=now,
        erase_at=_months_later(now, shape.retention_months),
    )


def _email_of(shape: Content, values: dict[str, str]) -> str:
    """The buyer's address: that of the default field, else of the first e-mail field that has one."""
    fields: Sequence[FormField] = sorted(shape.shown, key=lambda item: item.code != "email")
    return next((values[item.code] for item in fields if item.kind == "email" and values.get(item.code)), "")


def _months_later(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, calendar.monthrange(year, month + 1)[1]))


@transaction.atomic
def answer_erase(*, answer: DataFormAnswer, actor: Actor) -> bool:
    """Erase a buyer's answer and keep the order; False if it was erased before."""
    answer = (
        DataFormAnswer.objects.select_for_update(of=("self",)).select_related("form__shop__company").get(pk=answer.pk)
    )
    shop = answer.form.shop
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    if answer.erased_at is not None:
        return False
    _erase(answer, timezone.now())
    audit.record(
        actor=actor,
        action="data_form.answer_erased",
        obj=answer.form,
        company=shop.company,
        changes={"answer": [answer.created_at.isoformat(), None]},
    )
    return True


def _erase(answer: DataFormAnswer, now: datetime) -> None:
    answer.values, answer.search, answer.erased_at = [], "", now
    answer.save(update_fields=["values", "search", "erased_at"])


def answers_tick(now: datetime) -> None:
    """Erase the answers whose time is over."""
    due = DataFormAnswer.objects.filter(erased_at__isnull=True, erase_at__lte=now).order_by("erase_at")
    keys = list(due.values_list("pk", flat=True)[:500])
    if keys:
        DataFormAnswer.objects.filter(pk__in=keys, erased_at__isnull=True).update(values=[], search="", erased_at=now)


# --- Pieces ---------------------------------------------------------------------------------------


def _locked(shop: Shop) -> DataCollectionForm:
    """The form of a shop, its row locked; a new one that is not stored where there is none."""
    form = DataCollectionForm.objects.select_for_update().filter(shop=shop).first()
    if form is None:
        return selectors.form_of(shop)
    form.shop = shop
    return form


def _save(form: DataCollectionForm) -> None:
    form.full_clean(exclude=["shop"], validate_unique=False, validate_constraints=False)
    if not form._state.adding:
        form.save()
        return
    try:
        with transaction.atomic():
            form.save(force_insert=True)
    except IntegrityError as error:
        # Somebody else made the first change at the same moment.
        raise StaleVersion from error


def _locked_request(version: DataFormVersion) -> DataFormVersion:
    request = (
        DataFormVersion.objects.select_for_update(of=("self",)).select_related("form__shop__company").get(pk=version.pk)
    )
    if request.state != State.REQUESTED:
        raise ValidationError(
            _("Cette mise en ligne n'attend plus de décision : %(state)s.") % {"state": request.get_state_display()}
        )
    return request


def _record(version: DataFormVersion, actor: Actor, action: str, changes: Changes | None = None) -> None:
    audit.record(
        actor=actor,
        action=action,
        obj=version.form,
        company=version.form.shop.company,
        changes={"number": [None, version.number], **(changes or {})},
    )


def _differences(before: Content, after: Content) -> Changes:
    """What differs between two drafts, as the history stores it: one line a setting, one a field."""
    changes: Changes = {}
    old, new = _flat(before), _flat(after)
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) != new.get(name):
            changes[name] = [old.get(name), new.get(name)]
    order = [[item.code for item in shape.shown] for shape in (before, after)]
    if order[0] != order[1] and sorted(order[0]) == sorted(order[1]) and not changes:
        changes["order"] = [", ".join(item.title for item in shape.shown) for shape in (before, after)]
    return changes


def _flat(shape: Content) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for language in content.LANGUAGES:
        flat[f"title_{language}"] = shape.title.get(language, "")
        flat[f"intro_{language}"] = shape.intro.get(language, "")
    flat |= {
        "currency": shape.currency,
        "amount_fixed": _amount_in_words(shape, shape.amount.fixed),
        "amount_minimum": _amount_in_words(shape, shape.amount.minimum),
        "amount_maximum": _amount_in_words(shape, shape.amount.maximum),
        "privacy_url": shape.privacy_url,
        "retention_months": shape.retention_months,
    }
    return flat | {f"field.{item.code}": _field_in_words(item) for item in shape.fields}


def _amount_in_words(shape: Content, amount: int | None) -> str:
    return amount_text(amount, shape.currency) if amount else ""


@translation.override("fr")
def _field_in_words(item: FormField) -> str:
    """Return the settings of a field as the history stores them: in French, shown in the reader's language."""
    parts = [item.title, _("obligatoire") if item.required else _("facultatif")]
    if item.min_length:
        parts.append(
            ngettext("%(n)d caractère au moins", "%(n)d caractères au moins", item.min_length) % {"n": item.min_length}
        )
    if item.max_length:
        parts.append(
            ngettext("%(n)d caractère au plus", "%(n)d caractères au plus", item.max_length) % {"n": item.max_length}
        )
    if item.confirm:
        parts.append(_("à confirmer"))
    parts += [f"{language.upper()} « {text} »" for language, text in (*item.label.items(), *item.help.items()) if text]
    return " · ".join(parts)
