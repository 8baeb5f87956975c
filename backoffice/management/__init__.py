"""Commands of operators about several apps (`manage.py demo`, `provision`, `export` …). May import every room."""
