"""The keys and the actor of tests that make calls."""

from companies.audit import Actor

ACTOR = Actor.command("test")
KEY, REST_KEY = "1122334455667788", "testpassword_abc"
