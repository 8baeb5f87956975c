"""Settings of every environment, read from the process environment and `.env`.

The variables and their defaults are listed in `.env.example`. Relative paths count from the
repository root.
"""

import base64
import binascii
import ipaddress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from backoffice.base import configuration, logs, tracing

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.FileAwareEnv()
environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
# Secrets that only ever protect a developer's own machine; refused unless DEBUG is on.
_DEVELOPMENT_SECRET = "development-only-secret-key-never-used-outside-debug-mode"
_DEVELOPMENT_FIELD_KEY = "dev:" + base64.b64encode(b"development-only-field-key-00000").decode()


def _required(name: str, development_value: str) -> str:
    value: str = env.str(name, default="")
    if value:
        return value
    if DEBUG:
        return development_value
    raise ImproperlyConfigured(
        f"{name} is not set. Put it in the environment or in .env (see .env.example), "
        "or set DEBUG=true on a development machine."
    )


def _field_keys(text: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        key_id, _sep, encoded = part.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not key_id or len(key) != 32:
            raise ImproperlyConfigured(
                "FIELD_ENCRYPTION_KEYS takes comma-separated id:base64 pairs of 32-byte keys; "
                f"the entry with id {key_id!r} is not one."
            )
        keys[key_id] = key
    return keys


def _source_addresses(text: str) -> tuple[str, ...]:
    """Addresses and networks in their canonical spelling."""
    networks = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        try:
            network = ipaddress.ip_network(part)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"IPN_SOURCE_ADDRESSES takes comma-separated IP addresses and networks; {part!r} is none ({error})."
            ) from error
        networks.append(str(network.network_address) if network.num_addresses == 1 else str(network))
    return tuple(networks)


SECRET_KEY = _required("SECRET_KEY", _DEVELOPMENT_SECRET)
# Former keys, while links signed under them are still on their way.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
FIELD_ENCRYPTION_KEYS = _field_keys(_required("FIELD_ENCRYPTION_KEYS", _DEVELOPMENT_FIELD_KEY))

# Empty is "not set": the default counts.
BASE_URL = configuration.base_url("BASE_URL", env.str("BASE_URL", default="") or "http://localhost:8000")
_base = urlsplit(BASE_URL)
HTTPS = _base.scheme == "https"
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[_base.hostname or "localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = [f"{_base.scheme}://{_base.netloc}"]

INSTALLED_APPS = [
    "backoffice.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "backoffice.apps.ServedStaticFilesConfig",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "bootstrap",
    "crispy_forms",
    "crispy_bootstrap5",
    "csp",
    "django_htmx",
    "django_prometheus",
    "backoffice.apps.BackOfficeConfig",
    "companies",
    "shops",
    "notifications",
]

MIDDLEWARE = [
    # First, so that static files and early refusals carry them as well.
    "backoffice.site.middleware.HeadersMiddleware",
    "csp.middleware.CSPMiddleware",
    "notifications.api.problems.ProblemMiddleware",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "backoffice.site.middleware.TrustedProxyMiddleware",
    "backoffice.site.middleware.PageMethodsMiddleware",
    "backoffice.site.middleware.PlainQueryMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "companies.submissions.SubmissionAnsweredMiddleware",
    "backoffice.site.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "backoffice.site.middleware.LanguageMiddleware",
    "backoffice.site.middleware.TimeZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "backoffice.base.notices.NoticesMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "backoffice.site.middleware.SecondFactorMiddleware",
    "companies.accounts.view_as.ViewAsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "backoffice.site.gone.GoneMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
    # Last: a form that was sent before is answered here, once all the others have let it pass.
    "companies.submissions.SubmissionMiddleware",
]

ROOT_URLCONF = "backoffice.urls"
WSGI_APPLICATION = "backoffice.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "backoffice.site.context_processors.shell",
            ],
            # Replaces `{% csrf_token %}`, so that every form has its identity, those of libraries included.
            "builtins": ["backoffice.site.submission_tags"],
            "libraries": {
                "health_tags": "notifications.health.tags",
                "shell": "backoffice.site.tags",
                "staff": "companies.staff.tags",
                "orders": "shops.orders.tags",
                "dataforms": "shops.dataforms.tags",
            },
        },
    }
]
FORM_RENDERER = "backoffice.base.rendering.Renderer"
CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

# --- Database ---------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", default="sqlite:///var/backoffice.sqlite3")}
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    if _database["NAME"] != ":memory:":
        _database["NAME"] = str(BASE_DIR / _database["NAME"])
        Path(_database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    _database["OPTIONS"] = {
        # Two processes write (web and worker): wait for the lock instead of failing, take it at
        # BEGIN, and survive a power cut once a transaction has been acknowledged.
        "timeout": 30,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
    # Threads and live servers share the test database, so it has to be a file.
    _database["TEST"] = {"NAME": env.str("TEST_DB", default=str(VAR_DIR / "test.sqlite3"))}
else:
    _database.setdefault("CONN_MAX_AGE", 60)
    _database["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Rate limits and used one-time codes need a cache that all processes share. While it is gone they go on in a spare table.
REDIS_URL = env.str("REDIS_URL", default="")


def _cache_table(name: str) -> dict[str, Any]:
    # Beyond this entries are dropped; the default of 300 would let a flood wipe out its own limits.
    return {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": name,
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }


CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "backoffice.base.lasting_cache.LastingCache",
        "OPTIONS": {"PRIMARY": "shared", "SPARE": "spare"},
    },
    "shared": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            # Nobody waits for a server that is silent.
            "OPTIONS": {"socket_connect_timeout": 1.0, "socket_timeout": 1.5},
        }
        if REDIS_URL
        else _cache_table("shared_cache")
    ),
    "spare": _cache_table("spare_cache"),
    # Numbers of work in hand, written inside its transaction and read outside of it: never in the data base.
    "progress": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": "progress"}
        if REDIS_URL
        else {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": str(VAR_DIR / "progress"),
            "OPTIONS": {"MAX_ENTRIES": 1000},
        }
    ),
}
# Keys name people and their addresses; the cache holds a keyed digest of each instead.
for _name in ("shared", "spare", "progress"):
    CACHES[_name]["KEY_FUNCTION"] = "backoffice.base.private_cache.key"

# --- E-mail -----------------------------------------------------------------------------------
# Seconds for each reply while a connection is opened, secured and logged in (RFC 5321, 4.5.3.2); the steps of a mail have
# their own in notifications/outbox/transports/smtp.py. Leases are renewed meanwhile.
EMAIL_TIMEOUT = 300
EMAIL_FILE_PATH = str(VAR_DIR / "mail")
EMAIL_BACKEND = "backoffice.base.mail.EmlBackend"
if env.str("EMAIL_URL", default="").strip():
    vars().update(configuration.mail_server("EMAIL_URL", lambda: env.email_url("EMAIL_URL")))
    EMAIL_TIMEOUT = 300
    if EMAIL_BACKEND.endswith("filebased.EmailBackend"):
        # `filemail:` means one .eml file a mail; the framework's own backend appends to a .log.
        EMAIL_BACKEND = "backoffice.base.mail.EmlBackend"
        EMAIL_FILE_PATH = str(BASE_DIR / (EMAIL_FILE_PATH or "var/mail"))
PLATFORM_NAME = configuration.name("PLATFORM_NAME", env.str("PLATFORM_NAME", default="Back Office Marchand"))
DEFAULT_FROM_EMAIL = configuration.sender(
    "DEFAULT_FROM_EMAIL",
    env.str("DEFAULT_FROM_EMAIL", default="") or "Back Office Marchand <ne-pas-repondre@backoffice.example>",
)
SERVER_EMAIL = DEFAULT_FROM_EMAIL
# Where people reach the support team: an address, the Reply-To of every mail that has no other, and a page. Either
# may be empty; the page « Contacter le support » shows what there is.
SUPPORT_EMAIL = configuration.optional(configuration.address, "SUPPORT_EMAIL", env.str("SUPPORT_EMAIL", default=""))
# Where notices about undelivered mail come back to, read by `manage.py bounce`. Empty: to DEFAULT_FROM_EMAIL.
BOUNCE_ADDRESS = configuration.optional(
    configuration.bounce_address, "BOUNCE_ADDRESS", env.str("BOUNCE_ADDRESS", default="")
)
# The secrets of providers whose notices are taken at /api/v1/bounces/<provider>/ (`notifications/health/providers.py`).
BOUNCE_SECRETS = {
    "brevo": env.str("BOUNCE_SECRET_BREVO", default=""),
    "mailersend": env.str("BOUNCE_SECRET_MAILERSEND", default=""),
    "mailgun": env.str("BOUNCE_SECRET_MAILGUN", default=""),
    "mailjet": env.str("BOUNCE_SECRET_MAILJET", default=""),
    "mailtrap": env.str("BOUNCE_SECRET_MAILTRAP", default=""),
    "postal": env.str("BOUNCE_SECRET_POSTAL", default=""),
    "postmark": env.str("BOUNCE_SECRET_POSTMARK", default=""),
    "sparkpost": env.str("BOUNCE_SECRET_SPARKPOST", default=""),
}
SUPPORT_URL = configuration.optional(configuration.url, "SUPPORT_URL", env.str("SUPPORT_URL", default=""))
# Where merchants' programs fetch their files; named in the mails and on the pages of SFTP accounts.
SFTP_HOST = configuration.host("SFTP_HOST", env.str("SFTP_HOST", default="") or "sftp.backoffice.example")
SFTP_PORT = configuration.port("SFTP_PORT", env.str("SFTP_PORT", default="") or "22")
# What merchants enter as server name of the REST API; the payment platform answers there, not we.
REST_API_SERVER = env.str("REST_API_SERVER", default="https://api.backoffice.example")

# Seconds between an e-mail attempt and the next; when the list is used up the delivery is dead.
# The sum is above 72 hours, as the design asks of a transient failure.
EMAIL_RETRY_DELAYS = [60, 300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 86400]
# Seconds until the queue is tried again while our own settings keep it from going out; no attempt counts then.
EMAIL_WAIT_SECONDS = 300
# Connections to the mail server that one worker opens at most; the first mail shows whether the others may follow.
SMTP_CONNECTIONS = configuration.number("SMTP_CONNECTIONS", env.str("SMTP_CONNECTIONS", default="") or "4", 1, 50)
DELIVERY_LEASE_SECONDS = 45
# Who is mailed when sending needs a person; empty: the superusers.
ALERT_EMAILS = [
    configuration.address("ALERT_EMAILS", part.strip()) for part in env.list("ALERT_EMAILS", default=[]) if part.strip()
]
# So many deliveries given up within 24 hours are usual; more needs a person.
STATUS_DEAD_THRESHOLD = configuration.number(
    "STATUS_DEAD_THRESHOLD", env.str("STATUS_DEAD_THRESHOLD", default="") or "100", 0, 1_000_000_000
)
DELIVERY_BATCH_SIZE = 200
DELIVERY_POLL_SECONDS = 1.0

# --- What listens to events, to the clock and to signals: the whole table, in this order --------
# The first three kinds are told apart in notifications/events/hooks.py; backoffice/site/listening.py attaches the last.
EVENT_LISTENERS = ["shops.orders.services.buyers.payment_event_recorded"]
CLOCK_WORK = [
    "notifications.events.silences.tick",
    "notifications.events.digests.tick",
    "shops.orders.services.clock.payment_orders_tick",
    "shops.dataforms.services.answers_tick",
    "companies.history.seals.tick",
    "companies.accounts.logins.tick",
]
CLOCK_ROUTINES = [
    "shops.services.former_keys_forget",
    "notifications.consistency.reports.tick",
    "notifications.sending.alerts.tick",
    "notifications.outbox.carrying.tick",
]
# App → the triggers that guard or record its rows, put back after its migrations where they are missing.
DATABASE_GUARDS = {
    "companies": "companies.history.guard.GUARD",
    "shops": "shops.billing.guard.GUARD",
    "notifications": "notifications.timeline.recording.RECORD",
}
# Called with every new connection: what the triggers ask for.
DATABASE_CLOCK = "notifications.timeline.recording.give_clock"

# What the search of the top bar asks, in the order of its groups: see backoffice/base/searching.py.
SEARCH_FINDERS = [
    "notifications.tables.search.addresses",
    "shops.search.shops",
    "notifications.rules.search.rules",
    "shops.orders.search.orders",
    "shops.billing.search.documents",
    "companies.team.search.accounts",
    "shops.search.contracts",
    "notifications.journal.search.deliveries",
]

# --- Calls to notification URLs ---------------------------------------------------------------
IPN_ALLOW_PRIVATE_NETWORKS = env.bool("IPN_ALLOW_PRIVATE_NETWORKS", default=False)
IPN_TIMEOUT = min(env.float("IPN_TIMEOUT", default=10.0), 35.0)
# Where calls come from, as merchants enter it in their firewall: addresses and networks, shown beside the URLs
# of a rule. A wrong one stops the start: merchants would open their firewall for nothing, or for somebody else.
IPN_SOURCE_ADDRESSES = _source_addresses(env.str("IPN_SOURCE_ADDRESSES", default=""))

# --- Celery, only a doorbell: the outbox table is the truth ------------------------------------
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")

# --- Log-in -----------------------------------------------------------------------------------
AUTH_USER_MODEL = "companies.User"
AUTHENTICATION_BACKENDS = ["companies.accounts.auth.LoginBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "companies.accounts.adapters.AccountAdapter"
MFA_ADAPTER = "companies.accounts.adapters.MFAAdapter"
ACCOUNT_FORMS = {
    "login": "companies.accounts.forms.LoginForm",
    "reauthenticate": "companies.accounts.forms.PasswordProofForm",
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = "login"
ACCOUNT_USER_MODEL_EMAIL_FIELD = "email"
ACCOUNT_LOGIN_METHODS = {"username"}  # and by e-mail where it is unique, see companies.auth
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_UNIQUE_EMAIL = False
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_NOTIFICATIONS = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_PRESERVE_USERNAME_CASING = False
# Wrong tries at a password or code by address and by account, counted by `companies.guessing`, and links asked for.
# The library's own counters are off: they count right passwords too, and a lock they could not get as a limit.
ACCOUNT_RATE_LIMITS = {
    "login_failed": "10/m/ip,5/5m/key",
    "reset_password": "20/m/ip,5/m/key",
    "login": "",
    "reauthenticate": "",
    "change_password": "",
}
MFA_RATE_LIMITS = {"webauthn_login": ""}
MFA_REQUIRED = env.bool("MFA_REQUIRED", default=True)
MFA_TOTP_ISSUER = PLATFORM_NAME
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_FORMS = {
    "authenticate": "companies.accounts.second_factors.AuthenticateForm",
    "reauthenticate": "companies.accounts.second_factors.ReauthenticateForm",
    "activate_totp": "companies.accounts.second_factors.ActivateForm",
    "add_webauthn": "companies.accounts.passkeys.AddForm",
    "edit_webauthn": "companies.accounts.passkeys.RenameForm",
    "login_webauthn": "companies.accounts.passkeys.PasskeyLoginForm",
    "authenticate_webauthn": "companies.accounts.passkeys.PasskeyAuthenticateForm",
    "reauthenticate_webauthn": "companies.accounts.passkeys.PasskeyReauthenticateForm",
}
PASSWORD_RESET_TIMEOUT = 48 * 3600  # single-use links are valid for 48 hours (docs/rules.md 4.10)
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "companies.accounts.passwords.LongestValidator"},
    {"NAME": "companies.accounts.passwords.GuessableValidator"},
]

# --- Language and time ------------------------------------------------------------------------
LANGUAGE_CODE = "fr"
LANGUAGES = [("fr", _("Français")), ("en", _("Anglais"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = "backoffice.formats"
TIME_ZONE = "Europe/Paris"
LANGUAGE_COOKIE_NAME = "__Host-language" if HTTPS else "language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"

# --- Static files: served by the application; `collectstatic` gives them lasting names and compresses them ----------
STATIC_URL = "/static/"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    # Pictures of the guide, made by `make guide`.
    ("guide", str(BASE_DIR / "docs" / "guide" / "pictures")),
]
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # optional to fill; WhiteNoise warns when it is absent
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "backoffice.site.static_files.StaticFiles"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_ALLOW_ALL_ORIGINS = False

# --- Security ---------------------------------------------------------------------------------
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
# With a token, /metrics is for who sends it as a bearer, from anywhere; without, for scrapers on this machine.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="").strip()
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "companies.sessions"
# Seconds: the longest a session lives however busy it is, and how long it may stay idle.
SESSION_COOKIE_AGE = env.int("SESSION_MAX_AGE", default=12 * 3600)
SESSION_IDLE_TIMEOUT = env.int("SESSION_IDLE_TIMEOUT", default=2 * 3600)
# Notices may name people and addresses: they wait in the encrypted session, not in a cookie.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
# The prefix makes browsers insist on Secure, this host only and the whole site; it needs https.
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
DEVICE_COOKIE_NAME = "__Host-device" if HTTPS else "device"  # marks a browser in which somebody has logged in
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 63072000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY_COUNT else None
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "backoffice.site.views.csrf_failure"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "frame-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
# Days after which `manage.py purge` removes what is over. Open deliveries and the history always stay.
RETENTION_DAYS: dict[str, int] = {"deliveries": 400, "events": 400, "sessions": 1, "tokens": 90, "submissions": 1}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
# A whole form with its files: the largest file taken is a PDF of 8 MiB.
FORM_MAX_BODY_BYTES = 12 * 1024 * 1024
FILE_UPLOAD_HANDLERS = [
    "backoffice.base.upload_limit.UploadLimit",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
API_MAX_BODY_BYTES = 2 * 1024 * 1024
API_MAX_EVENTS = 1000

# --- Traces: where an endpoint takes them (requirements-tracing.txt); the names and meanings are OpenTelemetry's ----
tracing.configure(
    {
        "OTEL_EXPORTER_OTLP_ENDPOINT": env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default=""),
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": env.str("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", default=""),
        "OTEL_EXPORTER_OTLP_HEADERS": env.str("OTEL_EXPORTER_OTLP_HEADERS", default=""),
        "OTEL_SERVICE_NAME": env.str("OTEL_SERVICE_NAME", default=""),
        "OTEL_TRACES_SAMPLER": env.str("OTEL_TRACES_SAMPLER", default=""),
        "OTEL_TRACES_SAMPLER_ARG": env.str("OTEL_TRACES_SAMPLER_ARG", default=""),
    }
)
if tracing.is_on():
    MIDDLEWARE.insert(0, "backoffice.site.tracing.TracingMiddleware")

# --- Logs: one JSON object a line, without secrets or personal data ----------------------------
logs.configure()
DJANGO_STRUCTLOG_USER_ID_FIELD = "pk"
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
LOGGING = logs.logging_settings(env.str("LOG_LEVEL", default="WARNING"))
