"""« État de l'envoi » and alerts for staff, metrics, the mail server of a company, « Atelier des e-mails ».

May import `outbox`, `mail` and models.
"""
