"""The real settings, with the mail queue that ours is compared with installed beside it."""

from backoffice.settings import *  # noqa: F403
from backoffice.settings import INSTALLED_APPS as PRODUCT_APPS
from backoffice.settings import LOGGING
from bench import rivals

INSTALLED_APPS = [*PRODUCT_APPS, "post_office"]
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
POST_OFFICE = {
    "BACKENDS": {"default": EMAIL_BACKEND},
    "BATCH_SIZE": 1000,
    "CELERY_ENABLED": False,
    "MESSAGE_ID_ENABLED": True,
}
# Its progress lines would hide the figures; it brings a handler of its own where there is none.
LOGGING["handlers"]["nowhere"] = {"class": "logging.NullHandler"}
LOGGING["loggers"]["post_office"] = {"handlers": ["nowhere"], "level": "WARNING", "propagate": False}

rivals.add()
# Read as a machine of a developer, which needs no secrets; run as in production.
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
