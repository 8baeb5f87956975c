"""Triggers that protect billing: an issued document is neither changed nor deleted, a number series only increases.

`BillingDocument.save` and `delete` say so in words; these triggers hold whatever goes past them: a bulk
update, a console, another program.
"""

from backoffice.base.triggers import Guard, Rules

_DOCUMENT = "shops_billingdocument"
_SERIES = "shops_numberseries"


def _rules(vendor: str) -> Rules:
    counted_on = 'NEW.id = OLD.id AND NEW.kind = OLD.kind AND NEW.year = OLD.year AND NEW."last" = OLD."last" + 1'
    return {_DOCUMENT: "", _SERIES: counted_on}


GUARD = Guard("billing", "issued billing is never changed or removed", _rules)
