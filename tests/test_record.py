import dataclasses

from synthetic import record


def test_series_ignores_what_does_not_make_it():
    one = record(settings={"threads": 2})
    other = dataclasses.replace(one, session="later", launch=5, state={}, commit="abc")
    assert other.series == one.series
    assert dataclasses.replace(one, settings={"threads": 1}).series != one.series
