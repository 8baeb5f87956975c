"""Static files of the test suite: every `Client` loads the middleware anew, the list of files is made once."""

from typing import Any

from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFilesOnce(WhiteNoiseMiddleware):  # type: ignore[misc]
    """WhiteNoise as in production, with one look through the finders for all tests of a process."""

    _listed: dict[str, Any] | None = None

    def add_files_from_finders(self) -> None:
        if StaticFilesOnce._listed is None:
            super().add_files_from_finders()
            StaticFilesOnce._listed = dict(self.files)
        self.files.update(StaticFilesOnce._listed)
