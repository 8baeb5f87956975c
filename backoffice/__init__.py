"""The Django project: settings, URLs and commands, the ground that all apps use, the pages that need all of them."""
