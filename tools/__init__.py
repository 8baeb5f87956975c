"""What `make` runs around the product; nothing of the product imports it."""
