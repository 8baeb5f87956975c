"""Message templates of payment orders."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from companies import audit, status
from companies.audit import Actor, StaleVersion
from shops.models import PaymentOrderTemplate, Shop
from shops.orders import text

TEMPLATE_FIELDS = ("language", "name", "subject", "body", "is_default")


def _check_template(template: PaymentOrderTemplate) -> None:
    errors: dict[str, list[str]] = {}
    for name in ("subject", "body"):
        try:
            text.check_text(getattr(template, name))
        except ValidationError as error:
            errors[name] = error.messages
    try:
        template.full_clean(exclude=list(errors))
    except ValidationError as error:
        for name, messages in error.message_dict.items():
            errors.setdefault("name" if name == "__all__" else name, []).extend(messages)
    if errors:
        raise ValidationError(errors)


@transaction.atomic
def order_template_save(
    *, shop: Shop, actor: Actor, template: PaymentOrderTemplate | None = None, seen: int | None = None, **fields: Any
) -> PaymentOrderTemplate:
    """Create a template, or change one; a new default takes the place of the former of its language.

    Raises StaleVersion, or ValidationError by field.
    """
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    created = template is None
    if template is None:
        template = PaymentOrderTemplate(shop=shop)
    else:
        stored = PaymentOrderTemplate.objects.select_for_update(of=("self",)).filter(pk=template.pk, shop=shop).first()
        if stored is None:
            raise StaleVersion
        template = stored
        audit.check_seen(seen, template.version)
    changes = audit.apply(template, fields)
    if not created and not changes:
        return template
    if template.is_default:
        PaymentOrderTemplate.objects.filter(shop=shop, language=template.language, is_default=True).exclude(
            pk=template.pk
        ).update(is_default=False)
    _check_template(template)
    if not created:
        template.version += 1
    template.save()
    audit.record(
        actor=actor,
        action="payment_order_template.created" if created else "payment_order_template.updated",
        obj=template,
        company=shop.company,
        changes=audit.creation(fields) if created else changes,
    )
    return template


@transaction.atomic
def order_template_duplicate(*, template: PaymentOrderTemplate, actor: Actor) -> PaymentOrderTemplate:
    """A copy under a free name, not the default."""
    taken = set(
        PaymentOrderTemplate.objects.filter(shop_id=template.shop_id, language=template.language).values_list(
            "name", flat=True
        )
    )
    stem = _("%(name)s (copie)") % {"name": template.name[:80]}
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem} {number}", number + 1
    return order_template_save(
        shop=template.shop,
        actor=actor,
        language=template.language,
        name=name,
        subject=template.subject,
        body=template.body,
        is_default=False,
    )


@transaction.atomic
def order_template_delete(*, template: PaymentOrderTemplate, actor: Actor, seen: int | None = None) -> None:
    """Delete a template; orders keep their text.

    Args:
        seen: the version the writer saw; StaleVersion when it has moved on, or is deleted.
    """
    status.ensure_open(actor=actor, company=template.shop.company, shop=template.shop)
    stored = PaymentOrderTemplate.objects.select_for_update(of=("self",)).filter(pk=template.pk).first()
    if stored is None:
        raise StaleVersion
    audit.check_seen(seen, stored.version)
    audit.record(
        actor=actor,
        action="payment_order_template.deleted",
        obj=template,
        company=template.shop.company,
        changes={"name": [template.name, None]},
    )
    template.delete()
