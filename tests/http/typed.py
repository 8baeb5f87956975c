"""What the walkers type into forms of many fields."""

ANSWERED = {
    "f_last_name": "Roy", "f_first_name": "Jeanne", "f_email": "jeanne@acheteur.example",
    "f_email_again": "jeanne@acheteur.example", "amount": "49,90", "consent": "on",
}  # fmt: skip
ORDER = {
    "amount": "1249,90", "currency": "EUR", "recipients": "jeanne@acheteur.example", "language": "fr",
    "subject": "Votre commande", "body": "Bonjour,\n\n%url%",
}  # fmt: skip
LETTER = {"title_fr": "Nouveautés", "text_fr": "Bonjour", "title_en": "News", "text_en": "Hello"}
INCIDENT = {
    "title_fr": "Paiements CB", "title_en": "CB payments", "impact": "partial", "started_at": "2026-01-02T10:00",
    "state": "investigating", "text_fr": "Nous cherchons.", "text_en": "We are looking.",
}  # fmt: skip
NEW_COMPANY = {
    "name": "Nouvelle SARL", "country": "FR", "language": "fr", "time_zone": "Europe/Paris",
    "incident_emails": "astreinte@nouvelle.example", "manager_first_name": "Anna",
    "manager_email": "anna@nouvelle.example", "technical_email": "tech@agence.example",
}  # fmt: skip
