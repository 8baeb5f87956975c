from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    """The staff site; its log-in is the same door as everyone's."""

    default_site = "backoffice.admin.StaffAdminSite"
