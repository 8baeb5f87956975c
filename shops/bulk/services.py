"""Saving many shops at once."""

from collections.abc import Callable, Sequence

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from companies.audit import Actor
from shops import services
from shops.bulk.files import SheetRow


def shops_update(
    *, rows: Sequence[SheetRow], actor: Actor, progress: Callable[[int, int], None] = lambda done, total: None
) -> int:
    """Change the shops of these rows, all or none; how many have changed.

    Args:
        progress: called with (shops done, shops in all).

    Raises:
        ValidationError: naming the line of each row that is refused.
    """
    lines = {row.shop.pk: row.line for row in rows}
    try:
        return services.shops_update(fields={row.shop.pk: row.fields for row in rows}, actor=actor, progress=progress)
    except services.ShopsRefused as refused:
        raise ValidationError(
            [
                _("Ligne %(line)d : %(message)s") % {"line": lines[key], "message": " ".join(error.messages)}
                for key, error in refused.problems
            ]
        ) from refused
