"""Static files under names that change with their content, compressed once by `collectstatic`."""

import hashlib
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """The collected files; what was not collected, or has changed since, goes out under its own name.

    So pages are right before the first `collectstatic` and after a forgotten one, only slower: a name without the hash
    of its content is asked for again after a minute.
    """

    manifest_strict = False
    # Source maps are not collected, so their addresses are left as they stand.
    patterns = tuple(
        (names, tuple(rule for rule in rules if "sourceMappingURL" not in str(rule)))
        for names, rules in CompressedManifestStaticFilesStorage.patterns
    )

    def load_manifest(self) -> tuple[dict[str, str], str]:
        paths, manifest_hash = super().load_manifest()
        return {name: hashed for name, hashed in paths.items() if self._is_current(name)}, manifest_hash

    def stored_name(self, name: str) -> str:
        plain = self.clean_name(name)
        stored: str = self.hashed_files.get(self.hash_key(plain), plain)
        return stored

    def _is_current(self, name: str) -> bool:
        """Whether the file that was collected is the file that stands in the product or its library now."""
        source, collected = finders.find(name), Path(self.path(name))
        return bool(source) and collected.exists() and _digest(Path(str(source))) == _digest(collected)


def _digest(path: Path) -> Any:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
