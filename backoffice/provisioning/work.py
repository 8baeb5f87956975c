"""What all parts of applying a document share: the actor, the errors, the counts of objects."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pydantic
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from backoffice.base import limits
from backoffice.schemas.base import MISSING, REFUSED, REFUSED_SECRET, UNKNOWN_KEY, Flaw, flaws
from backoffice.schemas.settings import NESTED, Document
from companies.audit import Actor

D = TypeVar("D", bound=Document)
# Below these keys of a document no value is ever shown.
_SECRET_KEYS = frozenset({"keys", "auth_test", "auth_production", "password"})
# Fields of services that documents call otherwise.
_KEYS = {"reason": "status_reason", "is_active": "enabled"}


class ProvisioningError(Exception):
    """A document is refused; `problems` are (JSON path, message), `errors` the same as lines."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        told, others = problems[: limits.MAX_FILE_ERRORS], len(problems) - limits.MAX_FILE_ERRORS
        self.errors = [f"{path}: {message}" for path, message in told]
        if others > 0:
            self.errors.append(limits.and_others(others))
        super().__init__("\n".join(self.errors))


@dataclass
class Report:
    """The result of applying a document: objects by kind, and what was done with each."""

    companies: int = 0
    shops: int = 0
    rules: int = 0
    users: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    # What is to be known, and stopped nothing; not part of the last line.
    notes: tuple[str, ...] = ()

    def count(self, created: bool, changed: object) -> None:
        if created:
            self.created += 1
        elif changed:
            self.updated += 1
        else:
            self.unchanged += 1

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in vars(self).items() if name != "notes")


@dataclass
class Work:
    """One document that is being applied.

    Attributes:
        actor: whom the history names; a merchant's program may not do what is the platform's.
        notify: publish shop and account creations and changes, and 3D Secure activations.
        progress: called with (shops done, shops in the document).
    """

    actor: Actor
    notify: bool = False
    progress: Callable[[int, int], None] = lambda done, total: None
    total_shops: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)
    report: Report = field(default_factory=Report)
    met: set[tuple[str, str]] = field(default_factory=set)
    # What came of the mail servers that documents name, by path (`mail_servers.Trials`).
    trials: dict[str, Any] = field(default_factory=dict)
    # (path, message): what is to be known, and stops nothing.
    notes: list[tuple[str, str]] = field(default_factory=list)

    def refuse(self, path: str, message: object, value: Any = ...) -> None:
        if len(self.errors) >= limits.MAX_FILE_ERRORS:
            self.errors.append(("", ""))
            return
        shown = "" if value is ... else f" ({limits.named(value, 120)})"
        self.errors.append((path.lstrip(".")[:500] or "$", f"{message}{shown}"))

    def read(self, model: type[D], item: Any, path: str) -> D | None:
        """The document at a path without its lists of documents, or None after refusing it."""
        if not isinstance(item, dict):
            self.refuse(path, _("un objet est attendu"), item)
            return None
        try:
            return model.model_validate({name: value for name, value in item.items() if name not in model.nested})
        except pydantic.ValidationError as refused:
            room = max(0, limits.MAX_FILE_ERRORS - len(self.errors))
            for flaw in flaws(refused, most=room):
                self._tell(flaw, path)
            # Counted, and no more work than that: a file may be wrong a hundred thousand times.
            self.errors += [("", "")] * (refused.error_count() - room)
        self.look_inside(model, item, path)
        return None

    def look_inside(self, model: type[Document], item: dict[str, Any], path: str) -> None:
        """Report the errors of form in lists of a document that is refused anyway, so that all errors are shown at
        once.
        """
        for name in model.nested:
            for where, entry in self.items(item.get(name), f"{path}.{name}"):
                if self.read(NESTED[name], entry, where) is not None:
                    self.look_inside(NESTED[name], entry, where)

    def _tell(self, flaw: Flaw, path: str) -> None:
        where = path + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in flaw.where)
        hidden = flaw.kind in (REFUSED_SECRET, MISSING)
        if flaw.kind != REFUSED:
            hidden = hidden or not _SECRET_KEYS.isdisjoint(flaw.where)
        if flaw.kind in (REFUSED, REFUSED_SECRET):
            message = flaw.message
        elif flaw.kind == UNKNOWN_KEY:
            message = _("clé inconnue")
        elif flaw.kind == MISSING:
            message = _("valeur obligatoire")
        else:
            message = _("un objet est attendu")
        self.refuse(where, message, ... if hidden else flaw.value)

    def items(self, value: Any, path: str) -> Iterator[tuple[str, Any]]:
        """(path, entry) of a list; nothing for null, nor for what is no list, which is refused."""
        if value is None:
            return
        if not isinstance(value, list):
            self.refuse(path, _("une liste est attendue"), value)
            return
        for position, item in enumerate(value):
            yield f"{path}[{position}]", item

    def once(self, kind: str, key: str, path: str) -> bool:
        """Whether an object is met for the first time; a second time is refused."""
        if (kind, key) in self.met:
            self.refuse(path, _("valeur déjà présente dans le fichier"), key)
            return False
        self.met.add((kind, key))
        return True

    @contextmanager
    def guarded(self, path: str, given: Mapping[str, Any]) -> Iterator[None]:
        """Turn a ValidationError of a service into refusals with the JSON path and the given value."""
        try:
            with transaction.atomic():
                yield
        except ValidationError as error:
            if not hasattr(error, "error_dict"):
                for message in error.messages:
                    self.refuse(path, message)
                return
            for name, messages in error.message_dict.items():
                key = "trigger" if name == "triggers" and "trigger" in given else _KEYS.get(name, name)
                where = path if name == "__all__" else f"{path}.{key}"
                for message in messages:
                    self.refuse(where, message, ... if key in _SECRET_KEYS else given.get(key, ...))
