"""The shapes of JSON that comes in and goes out: one pydantic model a document, which reads, answers and describes it.

May import the ground and the models of the apps, no service and no page.
"""
