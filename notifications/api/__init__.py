"""The HTTP API: tokens checked, one module a resource, mounted in `application.py`.

May import what answers the same question on a page (`answers`, `tables`, `journal`) and `backoffice.provisioning`.
"""
