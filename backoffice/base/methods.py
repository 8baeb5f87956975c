"""The methods that pages take. Pages that only show take `require_safe`, those that only act `require_POST`."""

from django.views.decorators.http import require_http_methods

# A page with a form: HEAD is asked by proxies and link checkers wherever GET is.
get_and_post = require_http_methods(["GET", "HEAD", "POST"])
