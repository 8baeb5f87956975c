"""Addresses with an international domain, compared as IDNA 2008 says.

`straße.example` used to be compared as, and mailed to, `strasse.example`; the same with `ς` and with the joiners of
some scripts. Only the form for comparing is computed anew; what was typed stays. What changes is printed,
and so is each configured address whose domain is none under IDNA 2008 or holds characters in disguise: it is
refused when it is saved next.
"""

import unicodedata
from collections.abc import Iterator
from typing import Any

import idna
from django.db import migrations


def compare_anew(apps: Any, schema_editor: Any) -> None:
    alias = schema_editor.connection.alias
    rows = apps.get_model("notifications", "Delivery").objects.using(alias).filter(channel="email")
    stored = rows.order_by().values_list("address", "normalised_address").distinct()
    for address, before in [pair for pair in stored.iterator() if _is_international(pair[0])]:
        after = _normalised(address)[:500]
        # Erased ones hold no address any more.
        if after == before or "@" not in before:
            continue
        count = rows.filter(address=address, normalised_address=before).update(normalised_address=after)
        print(f"  journal: {address} is compared as {after}, not as {before} any more ({count} deliveries)")
    for place, address in _configured(apps, alias):
        if not _is_international(address):
            continue
        if disguised := [one for one in address if unicodedata.decomposition(one).startswith("<")]:
            print(f"  {place}: {address} holds {', '.join(disguised)}, which looks like something else: correct it")
        elif _ascii(address.rpartition("@")[2]) is None:
            print(f"  {place}: the domain of {address} is none under IDNA 2008, nothing can be sent there: correct it")
        elif (before := _former(address)) != (after := _normalised(address)):
            print(f"  {place}: {address} is compared as and mailed to {after}, not {before} any more")


def _is_international(address: str) -> bool:
    domain = address.rpartition("@")[2]
    return "@" in address and (not domain.isascii() or "xn--" in domain.lower())


def _normalised(address: str) -> str:
    local, _at, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    found = _ascii(domain)
    return f"{local.lower()}@{found}" if found is not None else f"{local}@{domain}".lower()


def _ascii(domain: str) -> str | None:
    try:
        mapped = idna.uts46_remap(unicodedata.normalize("NFC", domain), std3_rules=False, transitional=False)
        return ".".join(map(_label, mapped.split(".")))
    except (idna.IDNAError, ValueError, IndexError):
        return None


def _label(label: str) -> str:
    if label.isascii() and not label.startswith("xn--"):
        return label
    return idna.alabel(idna.ulabel(label) if label.isascii() else label).decode("ascii")


def _former(address: str) -> str:
    """The form of before: Python's codec, IDNA 2003."""
    local, _at, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    try:
        return f"{local.lower()}@{domain.encode('idna').decode('ascii').lower()}"
    except UnicodeError:
        return f"{local}@{domain}".lower()


def _configured(apps: Any, alias: str) -> Iterator[tuple[str, str]]:
    """(place, address) of every address in the settings."""
    single = (
        ("companies", "Contact", "email"),
        ("companies", "User", "email"),
        ("companies", "SftpAccount", "email"),
        ("shops", "Shop", "manager_email"),
    )
    lists = (("companies", "Company", "incident_emails"), ("notifications", "NotificationRule", "recipients"))
    for app, model, field in (*single, *lists):
        rows = apps.get_model(app, model).objects.using(alias).order_by("pk").values_list("pk", field)
        for key, value in rows.iterator():
            for address in [value] if isinstance(value, str) else value:
                yield f"{model} {key}", address


class Migration(migrations.Migration):
    dependencies = [
        ("companies", "0009_known_devices"),
        ("shops", "0008_former_keys"),
        ("notifications", "0010_call_credentials"),
    ]

    operations = [migrations.RunPython(compare_anew, migrations.RunPython.noop)]
