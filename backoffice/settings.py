"""Settings of every environment, read from the process environment and `.env`.

The variables and their defaults are listed in `.env.example`. Relative paths count from the
repository root.
"""

import base64
import binascii
from pathlib import Path
from urllib.parse import urlsplit

import environ
import structlog
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from backoffice.log_masking import mask

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


SECRET_KEY = _required("SECRET_KEY", _DEVELOPMENT_SECRET)
# Former keys, while links signed under them are still on their way.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
FIELD_ENCRYPTION_KEYS = _field_keys(_required("FIELD_ENCRYPTION_KEYS", _DEVELOPMENT_FIELD_KEY))

BASE_URL = env.str("BASE_URL", default="http://localhost:8000").rstrip("/")
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
    "django.contrib.staticfiles",
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
    "companies",
    "shops",
    "notifications",
]

MIDDLEWARE = [
    # First, so that static files and early refusals carry them as well.
    "backoffice.middleware.HeadersMiddleware",
    "csp.middleware.CSPMiddleware",
    "notifications.api.ProblemMiddleware",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "backoffice.middleware.TrustedProxyMiddleware",
    "backoffice.middleware.PageMethodsMiddleware",
    "backoffice.middleware.PlainQueryMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "backoffice.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "backoffice.middleware.LanguageMiddleware",
    "backoffice.middleware.TimeZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "backoffice.middleware.SecondFactorMiddleware",
    "backoffice.view_as.ViewAsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
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
                "backoffice.context_processors.shell",
            ],
            "libraries": {
                "shell": "backoffice.templatetags.shell",
                "orders": "shops.orders.tags",
                "dataforms": "shops.dataforms.tags",
            },
        },
    }
]
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"
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

# Rate limits and used one-time codes need a cache that all processes share.
REDIS_URL = env.str("REDIS_URL", default="")
CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "shared_cache",
            # Beyond this entries are dropped; the default of 300 would let a flood wipe out its own limits.
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    )
}

# --- E-mail -----------------------------------------------------------------------------------
EMAIL_TIMEOUT = 8  # seconds for each SMTP reply; four replies stay well inside one lease
EMAIL_FILE_PATH = str(VAR_DIR / "mail")
EMAIL_BACKEND = "backoffice.mail.EmlBackend"
if env.str("EMAIL_URL", default="").strip():
    vars().update(env.email_url("EMAIL_URL"))
    EMAIL_TIMEOUT = 8
    if EMAIL_BACKEND.endswith("filebased.EmailBackend"):
        # `filemail:` means one .eml file a mail; the framework's own backend appends to a .log.
        EMAIL_BACKEND = "backoffice.mail.EmlBackend"
        EMAIL_FILE_PATH = str(BASE_DIR / (EMAIL_FILE_PATH or "var/mail"))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Back Office Marchand <ne-pas-repondre@backoffice.example>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
# Reply-To of every mail that has no other: who answers a mail of the platform reaches people.
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", default="")
# What merchants enter as server name of the REST API; the payment platform answers there, not we.
REST_API_SERVER = env.str("REST_API_SERVER", default="https://api.backoffice.example")

# Seconds between an e-mail attempt and the next; when the list is used up the delivery is dead.
# The sum is above 72 hours, as the design asks of a transient failure.
EMAIL_RETRY_DELAYS = [60, 300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 86400]
DELIVERY_LEASE_SECONDS = 45
DELIVERY_BATCH_SIZE = 50
DELIVERY_POLL_SECONDS = 1.0
PLATFORM_NAME = env.str("PLATFORM_NAME", default="Back Office Marchand")

# --- Calls to notification URLs ---------------------------------------------------------------
IPN_ALLOW_PRIVATE_NETWORKS = env.bool("IPN_ALLOW_PRIVATE_NETWORKS", default=False)
IPN_TIMEOUT = min(env.float("IPN_TIMEOUT", default=10.0), 35.0)

# --- Celery, only a doorbell: the outbox table is the truth ------------------------------------
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")

# --- Log-in -----------------------------------------------------------------------------------
AUTH_USER_MODEL = "companies.User"
AUTHENTICATION_BACKENDS = ["companies.auth.LoginBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "companies.adapters.AccountAdapter"
MFA_ADAPTER = "companies.adapters.MFAAdapter"
ACCOUNT_FORMS = {"login": "companies.account_forms.LoginForm"}
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
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/5m/key", "reset_password": "20/m/ip,5/m/key"}
MFA_REQUIRED = env.bool("MFA_REQUIRED", default=True)
MFA_TOTP_ISSUER = PLATFORM_NAME
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_FORMS = {
    "add_webauthn": "companies.passkeys.AddForm",
    "edit_webauthn": "companies.passkeys.RenameForm",
    "login_webauthn": "companies.passkeys.LoginForm",
    "authenticate_webauthn": "companies.passkeys.AuthenticateForm",
    "reauthenticate_webauthn": "companies.passkeys.ReauthenticateForm",
}
PASSWORD_RESET_TIMEOUT = 48 * 3600  # single-use links are valid for 48 hours (DESIGN 4.10)
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "companies.passwords.LongestValidator"},
    {"NAME": "companies.passwords.GuessableValidator"},
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

# --- Static files: served by the application, no collectstatic needed --------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # optional to fill; WhiteNoise warns when it is absent
WHITENOISE_USE_FINDERS = True
WHITENOISE_ALLOW_ALL_ORIGINS = False

# --- Security ---------------------------------------------------------------------------------
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
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
CSRF_FAILURE_VIEW = "backoffice.views.csrf_failure"
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
RETENTION_DAYS: dict[str, int] = {"deliveries": 400, "events": 400, "sessions": 1, "tokens": 90}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
# A whole form with its files: the largest file taken is a PDF of 8 MiB.
FORM_MAX_BODY_BYTES = 12 * 1024 * 1024
FILE_UPLOAD_HANDLERS = [
    "backoffice.upload_limit.UploadLimit",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
API_MAX_BODY_BYTES = 2 * 1024 * 1024
API_MAX_EVENTS = 1000

# --- Logs: one JSON object a line, without secrets or personal data ----------------------------
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
DJANGO_STRUCTLOG_USER_ID_FIELD = "pk"
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            # Lines of libraries say when, where and who as well.
            "foreign_pre_chain": [
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                mask,
                structlog.processors.JSONRenderer(),
            ],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="WARNING")},
    "loggers": {"django_structlog": {"level": env.str("LOG_LEVEL", default="WARNING")}},
}
