"""Settings of the test suite: the real ones, on a fixed environment instead of the developer's `.env`.

`DATABASE_URL` and `TEST_DB` are taken from the process environment, so that one suite runs on
SQLite and on PostgreSQL.
"""

import base64
import os
from pathlib import Path

os.environ.update(
    DEBUG="false",
    SECRET_KEY="a-secret-key-of-the-test-suite-that-protects-nothing-at-all",
    FIELD_ENCRYPTION_KEYS="test:" + base64.b64encode(b"test-suite-field-key-of-32-bytes").decode(),
    BASE_URL="http://localhost:8000",
    ALLOWED_HOSTS="localhost,127.0.0.1,testserver",
    EMAIL_URL="",
    DEFAULT_FROM_EMAIL="Back Office Marchand <ne-pas-repondre@backoffice.example>",
    SUPPORT_EMAIL="",
    CELERY_BROKER_URL="",
    REDIS_URL="",
    MFA_REQUIRED="false",
    IPN_ALLOW_PRIVATE_NETWORKS="false",
    IPN_TIMEOUT="10",
    IPN_SOURCE_ADDRESSES="",
    METRICS_TOKEN="",
    TRUSTED_PROXY_COUNT="0",
    PLATFORM_NAME="Back Office Marchand",
    LOG_LEVEL="ERROR",
    OTEL_EXPORTER_OTLP_ENDPOINT="",
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="",
)
# A developer's .env may point at data that matters; tests only go where the shell says.
os.environ.setdefault("DATABASE_URL", "sqlite:///var/backoffice.sqlite3")

from backoffice.settings import *  # noqa: F403
from backoffice.settings import DATABASES, MIDDLEWARE

_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    # A test database need not survive a power cut; all else is as in production.
    _database["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA foreign_keys=ON;"
else:
    _database["TEST"] = {"NAME": "test_" + Path(os.environ.get("TEST_DB", "backoffice")).stem.replace("-", "_")}
    _database["CONN_MAX_AGE"] = 0
    # A test database need not survive a power cut here either.
    _database["OPTIONS"] = {**_database.get("OPTIONS", {}), "options": "-c synchronous_commit=off"}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "KEY_FUNCTION": "backoffice.base.private_cache.key",
    },
    "progress": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "progress",
        "KEY_FUNCTION": "backoffice.base.private_cache.key",
    },
}
MIDDLEWARE = [
    "tests.static_files.StaticFilesOnce" if name == "whitenoise.middleware.WhiteNoiseMiddleware" else name
    for name in MIDDLEWARE
]
