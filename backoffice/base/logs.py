"""Logs: one JSON object a line on standard error, whichever process or library writes it.

Without settings of Django, since the web server writes before any are loaded (`deploy/gunicorn.conf.py`).
"""

from typing import Any

import structlog
from django.http.response import HttpResponseBase

from backoffice.base import tracing
from backoffice.base.log_masking import mask

_STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)
# Lines of libraries say when, where and who as well.
_OF_LIBRARIES = [
    structlog.contextvars.merge_contextvars,
    tracing.named,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    _STAMP,
]


def configure() -> None:
    """Let structlog hand its lines to the loggers of the standard library."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            tracing.named,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            _STAMP,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def logging_settings(level: str) -> dict[str, Any]:
    """What `logging.config.dictConfig` is given, in every process alike."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _OF_LIBRARIES,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    mask,
                    structlog.processors.JSONRenderer(),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django_structlog": {"level": level},
            # The web server brings handlers of its own, in its own format.
            "gunicorn.error": {"level": level, "handlers": [], "propagate": True},
            "gunicorn.access": {"level": level, "handlers": [], "propagate": True},
        },
    }


def request_id() -> str:
    """The id of the request in hand, as its log lines carry it; empty outside of requests."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))[:64]


def name_request(response: HttpResponseBase, **_others: Any) -> None:
    """Send the request id of the logs in the answer; an id that the client sends is ignored."""
    response.headers["X-Request-ID"] = request_id()
