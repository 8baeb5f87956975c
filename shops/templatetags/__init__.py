"""Template tags that the pages of a shop share. May import models and rights."""
