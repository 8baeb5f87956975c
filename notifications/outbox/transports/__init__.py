"""The connections to mail servers: routes, the SMTP dialogue, what a transport is given and answers."""
