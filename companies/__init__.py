"""Companies and the people who act for them: log-in, accounts, rights, the history of every change."""
