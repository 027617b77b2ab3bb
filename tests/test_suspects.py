"""Questions to a row, by hand-made lanes: what is no reason to distrust it."""

from types import SimpleNamespace

import pytest

from harness.measure import suspects

MB = 1 << 20


class Asked:
    """A lane whose memory was seen at `before` and then, each time it is asked, at the next of `after` (MB)."""

    def __init__(self, before, after):
        self.memory = [(4 * number, size * MB) for number, size in enumerate(before, 1)]
        self._after = iter(after)

    def ask(self, command, **arguments):
        return {"calls_ns": [1] * arguments["count"]} if command == "calls" else {"rss_bytes": next(self._after) * MB}


@pytest.mark.parametrize(
    ("before", "after", "leaks"),
    [
        ([100 + 5 * n for n in range(16)], [175, 215, 215, 255, 255, 295], True),
        ([100 + 5 * n for n in range(16)], [175, 215, 215, 216], False),  # pools that fill up
        ([260, 259, 270, 259, 268, 259, 262, 259, 261, 264, 266, 268, 270, 274, 276, 282], [282, 268], False),  # up and down
        ([300] * 16, [], False),
        ([100, 200], [], False),  # too few to tell
    ],
)
def test_memory_must_go_on_growing_to_be_a_leak(before, after, leaks):
    assert bool(suspects.leaking(Asked(before, after))) == leaks


def test_a_row_that_requires_nothing_and_changes_nothing_is_trusted():
    lane = SimpleNamespace(first={}, blocks=[], memory=[], notes=[])
    assert suspects.reason(lane, fresh=True) == ""
