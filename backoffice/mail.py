"""Mail backend for machines without a mail server: one `.eml` file a message."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage
from django.utils import timezone


class EmlBackend(BaseEmailBackend):
    """Writes each message to its own file under `EMAIL_FILE_PATH`; nothing leaves the machine.

    Files appear complete or not at all (written aside, then renamed), so a reader that watches
    the folder never sees half a mail.
    """

    def __init__(self, fail_silently: bool = False, file_path: str | None = None, **kwargs: object) -> None:
        super().__init__(fail_silently=fail_silently)
        self.folder = Path(file_path or settings.EMAIL_FILE_PATH)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        for email in email_messages:
            message = email.message()
            name = re.sub(r"[^A-Za-z0-9-]", "", str(message["Message-ID"]).partition("@")[0])
            target = self.folder / f"{timezone.now():%Y%m%dT%H%M%S%f}-{name}.eml"
            partial = target.with_suffix(".partial")
            partial.write_bytes(message.as_bytes())
            os.replace(partial, target)
        return len(email_messages)
