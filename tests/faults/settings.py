"""Settings of the laboratory: the product's own, with its waits shortened so that hours pass in seconds.

What is shortened is told in docs/reliability.md. Nothing else is changed.
"""

from backoffice.settings import *  # noqa: F403
from backoffice.settings import DATABASES

EMAIL_RETRY_DELAYS = [1] * 4 + [2] * 8
EMAIL_WAIT_SECONDS = 1
EMAIL_TIMEOUT = 3
DELIVERY_LEASE_SECONDS = 6
DELIVERY_POLL_SECONDS = 0.2

_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    # Processes are killed here, the machine never loses power.
    _database["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA foreign_keys=ON;"
    _database["OPTIONS"]["timeout"] = 5
else:
    _database["OPTIONS"] = {**_database.get("OPTIONS", {}), "connect_timeout": 3}
