"""Here every command is a process of its own: it is killed, stopped and taken its disk away."""

import pytest


@pytest.fixture
def cli(process):
    """Return a function that runs the real command in this test's folder."""
    return process
