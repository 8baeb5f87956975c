"""Who is told what, when and by which channel: rules, events, the outbox, its workers, and the pages that show them."""
