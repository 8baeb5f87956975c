"""Log-in, passwords, second factors, passkeys, open sessions, Mon compte, and « Voir comme ».

May import the services of the app; `login_library.py` alone knows the internals of the log-in library.
"""
