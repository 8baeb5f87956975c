"""« Pourquoi ? », « Couverture », and the page behind the link in the foot of a mail.

May import `tables`, `timeline`, `rules` and `events`.
"""
