"""What each mail says and how it becomes bytes: composers, default texts, markup, attachments, samples, signed links.

May import models, facts and `notifications.core`; it sends nothing.
"""
