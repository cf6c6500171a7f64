"""Whatever is in a file or on a command line: it is taken, with all that follows, or refused in one clear line.

`scripts/fuzz` runs the same property with as many examples as there is time for.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.unit.hostile_readers import READERS, files, was_read


@pytest.mark.parametrize("name", READERS)
def test_whatever_is_in_it_is_taken_or_refused(name: str) -> None:
    reader = READERS[name]

    with files() as put:
        for content in reader.contents():
            assert was_read(reader, put(reader, content)), "what is damaged here was whole before"

        @settings(max_examples=12 if reader.slow else 50, suppress_health_check=list(HealthCheck))
        @given(reader.inputs())
        def any_input_is_taken_or_refused(content: bytes) -> None:
            was_read(reader, put(reader, content))

        any_input_is_taken_or_refused()
