"""Settings that every test shares."""

from hypothesis import settings

settings.register_profile("veridraft", deadline=None, max_examples=30, print_blob=True)
settings.load_profile("veridraft")
