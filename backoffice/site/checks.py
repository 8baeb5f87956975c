"""System checks of our own settings: `manage.py check` names settings that sending would fail on."""

from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core import checks

from backoffice.base import configuration, tracing
from backoffice.base.configuration import SettingError
from notifications.outbox import parts

# setting → how its text is read; the same functions read the environment and build the mails.
READERS: dict[str, Callable[[str, str], object]] = {
    "BASE_URL": configuration.base_url,
    "PLATFORM_NAME": configuration.name,
    "DEFAULT_FROM_EMAIL": configuration.mailbox,
    "SUPPORT_EMAIL": lambda name, text: configuration.optional(configuration.address, name, text),
    "BOUNCE_ADDRESS": lambda name, text: configuration.optional(configuration.bounce_address, name, text),
    "SUPPORT_URL": lambda name, text: configuration.optional(configuration.url, name, text),
    "SFTP_HOST": configuration.host,
}


def problems() -> list[SettingError]:
    """What is wrong with the settings about ourselves; empty when all can be used."""
    messages = []
    for name, read in READERS.items():
        try:
            read(name, str(getattr(settings, name)))
        except SettingError as error:
            messages.append(error)
    return messages


@checks.register
def own_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    return [checks.Error(str(error), id=f"backoffice.{error.setting}") for error in problems()]


@checks.register(deploy=True)
def traces(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Traces that are asked for and cannot be made."""
    if not tracing.missing_packages():
        return []
    told = "An OTLP endpoint is set, but OpenTelemetry is not installed: there are no traces."
    hint = "pip install --require-hashes -r requirements-tracing.txt"
    return [checks.Warning(told, hint=hint, id="backoffice.tracing")]


# How grave a broken part is; an empty database is what every installation begins with.
_KINDS = {"database": checks.Error, "field_key": checks.Error, "migrations": checks.Info}


@checks.register(deploy=True)
def foundations(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """What the product stands on, as `readyz` and `status` see it: database, schema, cache, broker, field key, disk."""
    broken = parts.database()
    # Without its tables, keys and cache cannot be looked at.
    problems = [broken] if broken is not None else parts.foundations()
    return [
        _KINDS.get(problem.part, checks.Warning)(problem.text, id=f"backoffice.{problem.part}") for problem in problems
    ]
