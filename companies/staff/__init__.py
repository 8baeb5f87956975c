"""What the pages of the staff site share: frame, filters of lists, proof of identity.

May import models and rights; the `admin` modules of every app import it.
"""
