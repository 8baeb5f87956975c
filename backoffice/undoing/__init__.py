"""« Annuler »: the page that takes back what was just saved, and the services that do so by entries of the history.

May import the services of all apps.
"""
