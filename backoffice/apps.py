from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.contrib.staticfiles.apps import StaticFilesConfig


class BackOfficeConfig(AppConfig):
    """The project as an application: its commands and checks, no model."""

    name = "backoffice"

    def ready(self) -> None:
        from backoffice.site import checks, listening  # noqa: F401  checks register themselves

        listening.attach()


class StaffAdminConfig(AdminConfig):
    """The staff site, with the common log-in page."""

    default_site = "backoffice.site.admin.StaffAdminSite"

    def ready(self) -> None:
        super().ready()
        from companies.staff import values

        values.install()


class ServedStaticFilesConfig(StaticFilesConfig):
    """The framework's static files; `collectstatic` leaves out what libraries ship and no page asks for."""

    ignore_patterns = [
        *StaticFilesConfig.ignore_patterns,
        "*.map",
        # Of Bootstrap pages use `bootstrap.min.css`, of htmx `htmx-2.min.js`.
        "bootstrap/js/*",
        "bootstrap-*",
        "bootstrap.css",
        "bootstrap.rtl*",
        "htmax-*",
        "htmx-4*",
        "htmx-2.js",
        "htmx-1*",
        # The admin loads its libraries minified.
        "jquery.js",
        "select2.full.js",
        "xregexp.js",
    ]
