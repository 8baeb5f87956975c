"""What `pause` and `resume` share: which part of sending is meant."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from notifications.calls.door import endpoint_of
from notifications.management import arguments
from notifications.models import Lane


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--company", metavar="REF", help="only what this company sends")
    parser.add_argument("--channel", choices=["email", "ipn"], help="only mail, or only calls")
    parser.add_argument("--lane", choices=Lane.values, help="only this queue of mail")
    parser.add_argument("--endpoint", metavar="URL", help="only calls to the server of this URL")


def what(options: dict[str, Any]) -> dict[str, Any]:
    """The fields of a pause. Raises CommandError."""
    endpoint = ""
    if options["endpoint"]:
        try:
            endpoint = endpoint_of(options["endpoint"])
        except (ValueError, ValidationError) as error:
            raise CommandError(str(error)) from error
    return {
        "company": arguments.company(options["company"]),
        "channel": options["channel"] or "",
        "lane": options["lane"] or "",
        "endpoint": endpoint,
    }
