"""Sessions of the site: listed by user, ended one by one, stored so that the database alone opens none.

A row is found by a keyed hash of the cookie's value, and its content is encrypted: it may hold a
second factor on its way to activation, or a form that waits for a proof of identity. `SESSION_ENGINE`
points here.
"""

import json
from datetime import timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.db import DatabaseError, IntegrityError, router, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.encoding import force_str

from backoffice.base import crypto
from companies.models import Session

USER_AGENT_LENGTH = 300
SEEN_EVERY = timedelta(minutes=1)
_CONTEXT = "companies_session"


def stored_key(session_key: str) -> str:
    """The digest that is stored instead of the cookie's value."""
    return salted_hmac("companies.sessions", session_key, algorithm="sha256").hexdigest()


class SessionStore(SessionBase):
    """Database sessions that also store user, start, address and browser.

    `device` is what the row says of the visitor; `backoffice.middleware.SessionMiddleware` fills it. `is_over` says
    that the cookie belongs to a session that has ended.
    """

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self.row: Session | None = None
        self.is_over = False
        self.device: dict[str, Any] = {}

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    # --- Content ----------------------------------------------------------------------------------

    def encode(self, session_dict: dict[str, Any]) -> str:
        return crypto.encrypt(json.dumps(session_dict, separators=(",", ":")), _CONTEXT)

    def decode(self, session_data: str | bytes) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(crypto.decrypt(force_str(session_data), _CONTEXT))
        except (crypto.DecryptionError, ValueError):
            # Under a key that is gone: the visitor logs in again.
            return {}
        return content

    # --- Storage ----------------------------------------------------------------------------------

    def load(self) -> dict[str, Any]:
        row = None
        if self.session_key:
            row = Session.objects.filter(key=stored_key(self.session_key), expire_date__gt=timezone.now()).first()
        if row is not None and self._is_over(row):
            row.delete()
            row = None
        if row is None:
            self.is_over = bool(self.session_key)
            self._session_key = None
            return {}
        self.row = row
        return self.decode(row.session_data)

    @staticmethod
    def _is_over(row: Session) -> bool:
        """Whether a session was idle for too long, or is too old however busy it was."""
        now = timezone.now()
        idle = timedelta(seconds=settings.SESSION_IDLE_TIMEOUT)
        return row.user_id is not None and (
            now - row.seen_at > idle or now - row.created_at > timedelta(seconds=settings.SESSION_COOKIE_AGE)
        )

    def exists(self, session_key: str) -> bool:
        return Session.objects.filter(key=stored_key(session_key)).exists()

    def create(self) -> None:
        while True:
            self._session_key = self._get_new_session_key()  # type: ignore[attr-defined]
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            self.create()
            return
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]
        values = {
            "user_id": int(data[SESSION_KEY]) if SESSION_KEY in data else None,
            "session_data": self.encode(data),
            "expire_date": self.get_expiry_date(),
            **self.device,
        }
        key = stored_key(self.session_key)
        using = router.db_for_write(Session)
        try:
            with transaction.atomic(using=using):
                if must_create:
                    self.row = Session.objects.create(key=key, **values)
                elif not Session.objects.filter(key=key).update(**values):
                    # Ended from elsewhere while this request was under way: it must not come back.
                    raise UpdateError
        except IntegrityError as error:
            if must_create:
                raise CreateError from error
            raise
        except DatabaseError:
            if not must_create:
                raise UpdateError from None
            raise

    def renew(self) -> None:
        """Give the same session another cookie; the former one opens nothing any more.

        Unlike `cycle_key` this keeps the row, and so its age: a proof of identity makes no session younger.
        """
        if self.session_key is None:
            return
        former, self._session_key = self.session_key, self._get_new_session_key()  # type: ignore[attr-defined]
        Session.objects.filter(key=stored_key(former)).update(key=stored_key(self._session_key))
        self.modified = True

    @property
    def is_of_a_user(self) -> bool:
        """Whether the request used the session of a logged-in user."""
        return self.row is not None and self.row.user_id is not None

    def touch(self) -> None:
        """Note that the visitor is there, at most once a minute and without writing the content."""
        now = timezone.now()
        if self.row is not None and now - self.row.seen_at >= SEEN_EVERY:
            Session.objects.filter(pk=self.row.pk).update(seen_at=now, **self.device)
            self.row.seen_at = now

    def delete(self, session_key: str | None = None) -> None:
        if session_key is None:
            if self.session_key is None:
                return
            session_key = self.session_key
        Session.objects.filter(key=stored_key(session_key)).delete()

    @classmethod
    def clear_expired(cls) -> None:
        Session.objects.filter(expire_date__lt=timezone.now()).delete()


def session_of(request: HttpRequest) -> SessionStore:
    """The session of a request, as what it is here."""
    return cast(SessionStore, request.session)
