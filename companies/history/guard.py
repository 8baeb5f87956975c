"""The database's own guard of the history: triggers that refuse UPDATE and DELETE.

An entry may be changed in one way only: a row of `HistoryErasure` that is still open names it, and
nothing but its words (author, address, designation, values) differs. That row cannot be removed.
"""

from backoffice.base.triggers import Guard, Rules

_ENTRY = "companies_auditentry"
_ERASURE = "companies_historyerasure"
_FROZEN = ("companies_historyseal", "companies_sealedentry")
# What stays as it was written, whatever happens.
_FIXED = (
    "id",
    "at",
    "company_id",
    "actor_id",
    "shop_id",
    "action",
    "object_type",
    "object_id",
    "content_digest",
)


def _same(columns: tuple[str, ...], equal: str) -> str:
    return " AND ".join(f'NEW."{name}" {equal} OLD."{name}"' for name in columns)


def _entry_may_change(equal: str, true: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM {_ERASURE} e WHERE e.id = NEW.erasure_id AND e.is_open = {true})"  # noqa: S608
        f" AND NEW.salt = '' AND {_same(_FIXED, equal)}"
    )


def _erasure_may_change(equal: str, true: str) -> str:
    # Open to closed, once, with its counts.
    fixed = _same(("id", "at", "actor_label", "address_hash"), equal)
    return f"OLD.is_open = {true} AND NOT NEW.is_open AND {fixed}"


def _rules(vendor: str) -> Rules:
    equal, true = ("IS", "1") if vendor == "sqlite" else ("IS NOT DISTINCT FROM", "true")
    return {
        _ENTRY: _entry_may_change(equal, true),
        _ERASURE: _erasure_may_change(equal, true),
        **dict.fromkeys(_FROZEN, ""),
    }


GUARD = Guard("history", "the history is append-only", _rules)
