"""Secrets at rest: AES-256-GCM model field with a key id, so that keys can be rotated.

The stored text is `key-id:base64(nonce + ciphertext + tag)`. The associated data binds it to its
table, row and column: a ciphertext copied to another row does not decrypt. Because the row is
part of it, models that use the field need a primary key that is known before the first save (a
UUID default).
"""

import base64
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import models

from backoffice.base.typed import TextField


class DecryptionError(Exception):
    """A stored secret could not be read: unknown key id, or altered or moved ciphertext."""


def encrypt(plain: str, context: str) -> str:
    """Encrypt `plain` under the first configured key; `context` is the associated data."""
    key_id, key = next(iter(settings.FIELD_ENCRYPTION_KEYS.items()))
    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, plain.encode(), context.encode())
    return f"{key_id}:{base64.b64encode(nonce + sealed).decode()}"


def decrypt(stored: str, context: str) -> str:
    """Decrypt what `encrypt` returned. Raises DecryptionError."""
    key_id, _sep, encoded = stored.partition(":")
    key = settings.FIELD_ENCRYPTION_KEYS.get(key_id)
    if key is None:
        raise DecryptionError(f"no key with id {key_id!r} is configured")
    raw = base64.b64decode(encoded)
    try:
        return AESGCM(key).decrypt(raw[:12], raw[12:], context.encode()).decode()
    except InvalidTag as error:
        raise DecryptionError(f"the secret of {context} does not match its place") from error


# Marks a ciphertext in a dump of `dumpdata`.
_DUMPED = "aes-gcm!"


def seal(plain: bytes, key: bytes) -> str:
    """Encrypt under a given key of 32 bytes, which is not stored; `open_sealed` needs the same."""
    nonce = os.urandom(12)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, None)).decode()


def open_sealed(stored: str, key: bytes) -> bytes:
    """Decrypt what `seal` returned. Raises DecryptionError."""
    raw = base64.b64decode(stored)
    try:
        return AESGCM(key).decrypt(raw[:12], raw[12:], None)
    except InvalidTag as error:
        raise DecryptionError("sealed under another key") from error


class EncryptedTextField(TextField):
    """A text column whose Python value is plain and whose stored value is encrypted.

    Reading decrypts on first access of the attribute, not on load, so that a list of rows never
    touches its secrets.
    """

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only)
        setattr(cls, name, _SecretAttribute(self))

    def context(self, instance: models.Model) -> str:
        return f"{self.model._meta.db_table}:{instance.pk}:{self.attname}"

    def pre_save(self, model_instance: models.Model, add: bool) -> "_Stored | str":
        cell = model_instance.__dict__.get(self.attname)
        if isinstance(cell, _Stored):
            return cell
        return _Stored(encrypt(cell, self.context(model_instance))) if cell else ""

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        # Reached without an instance, and so without a context, by `update` and by fixtures.
        if isinstance(value, str) and value and not isinstance(value, _Opened):
            raise ValueError(f"{self.model._meta.label}.{self.name} is written through its instance only")
        return super().get_db_prep_save(value, connection)

    def from_db_value(self, value: str | None, *args: Any) -> Any:
        return None if value is None else _Stored(value)

    def value_to_string(self, obj: models.Model) -> str:
        # `dumpdata` asks for this: a dump must not hold what the column does not.
        cell = obj.__dict__.get(self.attname)
        text = cell.text if isinstance(cell, _Stored) else encrypt(cell, self.context(obj)) if cell else ""
        return f"{_DUMPED}{text}" if text else ""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value.startswith(_DUMPED):
            return _Stored(value.removeprefix(_DUMPED))
        return value if isinstance(value, _Stored) else super().to_python(value)

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, _Opened):
            return value.sealed
        return value.text if isinstance(value, _Stored) else value


class _Stored:
    """A ciphertext as it came from the database."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class _Opened(str):
    """A decrypted secret with its ciphertext, which a loaded fixture writes back."""

    sealed: str = ""


def stored(text: str) -> Any:
    """A ciphertext as the value of an `EncryptedTextField`: written, or compared, as it is."""
    return _Stored(text)


class _SecretAttribute:
    def __init__(self, field: EncryptedTextField) -> None:
        self.field = field

    def __get__(self, instance: models.Model | None, owner: Any = None) -> Any:
        if instance is None:
            return self
        cell = instance.__dict__.get(self.field.attname)
        if isinstance(cell, _Stored):
            text = cell.text
            cell = _Opened(decrypt(text, self.field.context(instance)) if text else "")
            cell.sealed = text
            instance.__dict__[self.field.attname] = cell
        return cell

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value
