"""How many examples a property test takes: its own number in `make test`, twenty times that in `make torture`."""

import os

from hypothesis import settings

_TIMES = int(os.environ.get("GRIDMOTE_EXAMPLES_TIMES", "1"))
settings.register_profile("gridmote", max_examples=100 * _TIMES, deadline=None)


def examples(number=100):
    """Decorator: `number` examples, without a limit on the time of one."""
    return settings(max_examples=number * _TIMES, deadline=None)
