"""Files for download: saved by the browser, never shown or run."""

from django.http import HttpResponse
from django.utils.http import content_disposition_header

# Whoever opens the file in a window all the same: it runs, loads and sends nothing.
POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def file_response(content: bytes, name: str, content_type: str) -> HttpResponse:
    """A download.

    Args:
        name: the name to save it under, of whatever characters.
    """
    response = HttpResponse(content, content_type=content_type)
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response.headers["Content-Security-Policy"] = POLICY
    return response
