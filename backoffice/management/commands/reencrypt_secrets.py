"""`manage.py reencrypt_secrets`: every stored secret under the first of the FIELD_ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backoffice.site import reencrypt


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret anew under the first key of FIELD_ENCRYPTION_KEYS: shop keys, SFTP passwords, second "
        "factors, sessions. Can be killed and run again at any time; exit 1 while anything is left under another key."
    )

    def handle(self, **options: Any) -> None:
        def progress(label: str, done: int, total: int) -> None:
            width = 30
            bar = "#" * (width * done // max(total, 1))
            self.stderr.write(f"{label:36} [{bar:{width}}] {done}/{total}")
            self.stderr.flush()

        result = reencrypt.reencrypt(progress)
        # A second look, which finds nothing to do unless somebody wrote under an old key meanwhile.
        left = reencrypt.reencrypt()
        for place in left.unreadable:
            self.stderr.write(f"no key opens {place}")
        self.stdout.write(
            f"key={reencrypt.current_key_id()} rewritten={result.rewritten + left.rewritten} "
            f"current={left.current + left.rewritten} unreadable={len(left.unreadable)}"
        )
        if left.unreadable or left.rewritten:
            raise CommandError(
                "some secrets are not under the first key: keep the other keys configured and run this again"
            )
