"""Payment orders (Gestion > Ordres de paiement): what a shop asks a buyer to pay, by e-mail or by a link."""
