"""What asv tracks: a benchmark per component, metric and series, over implementations and cases; generated from the registry.

`<component>.<metric>.track_upper` is the unfavourable end of the interval (targets are held against it), `track_estimate` its
middle, `track_ratio` the ratio to the reference measured beside it. Less is better everywhere. n/a: unavailable or not
measured; failed: it crashed, or its result was wrong. `asv run --show-stderr` says why.
"""

from benchmarks._session import Benchmark, benchmarks, value


def _track(tracked: Benchmark):
    def track(implementation, case):
        return value(tracked, implementation, case)

    track.__name__ = track.__qualname__ = tracked.name.replace(".", "_")
    track.benchmark_name = tracked.name
    track.params = (tracked.implementations, tracked.cases)
    track.param_names = ("implementation", "case")
    track.unit = tracked.unit
    # The contract decides what compares; the default, a hash of the source above, is the same for all.
    track.version = str(tracked.version)
    # The first benchmark of a component on a case measures for all of them.
    track.timeout = 1800
    return track


for _benchmark in benchmarks():
    globals()[_benchmark.name.replace(".", "_")] = _track(_benchmark)
