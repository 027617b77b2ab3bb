"""How much longer a call takes for sines more: `python -m gate_specimen.slowdown TIMES SECONDS SHARE...` prints a JSON list of ratios.

One process computes all of them in turns: processes that do the same differ by several percent in where their arrays lie.
"""

import json
import math
import random
import statistics
import sys
from time import process_time_ns

from gate_specimen import demand
from gate_specimen.component import COMPONENT, TIMES
from gate_specimen.kernel import IMPLEMENTATION

BLOCK_SECONDS = 0.002
LEAST_ROUNDS = 5
MOST_TIMES = 200
"""What computes its sines more often does the same for longer: a call of two milliseconds leaves room for many turns."""


def main(times, seconds, shares):
    case = next(case for case in COMPONENT.cases if TIMES[case.name] == times)
    times = min(times, MOST_TIMES)
    inputs = {**case.make(1), "times": times}
    with IMPLEMENTATION.load({}) as run:

        def block(calls, share):
            demand.EXTRA = {times: share}
            started = process_time_ns()
            for _ in range(calls):
                run(inputs)
            return process_time_ns() - started

        once = min(block(1, 0.0) for _ in range(3)) / 1e9
        calls = max(1, round(BLOCK_SECONDS / once))
        rounds = max(LEAST_ROUNDS, round(seconds / (calls * once * (1 + len(shares)))))
        ratios = []
        for _ in range(rounds):
            turns = list(enumerate([0.0, *shares]))
            took = {index: block(calls, share) for index, share in random.sample(turns, len(turns))}
            ratios.append([math.log(took[index] / took[0]) for index in range(1, len(turns))])
    return [math.exp(statistics.median(column)) for column in zip(*ratios, strict=True)]


if __name__ == "__main__":
    json.dump(main(int(sys.argv[1]), float(sys.argv[2]), [float(share) for share in sys.argv[3:]]), sys.stdout)
