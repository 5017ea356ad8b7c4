"""Settings that every test shares."""

from math import inf

import pytest
from hypothesis import settings

settings.register_profile("veridraft", deadline=None, max_examples=30, print_blob=True)
settings.load_profile("veridraft")


@pytest.fixture(autouse=True)
def explanations_take_their_time(monkeypatch):
    """What an audit says of a finding does not depend on how busy the machine is."""
    monkeypatch.setattr("veridraft.simulate.auditing.explaining.explanation.SECONDS", inf)
