"""A session as it could have been: two components, good, wrong, approximate, broken and unavailable rows."""

from __future__ import annotations

from synthetic import MACHINE, launches, parity, plan, record

from harness.record import LeftOut, Record
from harness.targets import Target
from harness.verdict import Verdicts, judge

STEMS = {"case": "stems", "component": "spectrogram", "produced": 720.0}
DBN = {"case": "three-minutes", "component": "dbn", "produced": 180.0, "peak": 210_000_000, "calls": 110}


def records() -> list[Record]:
    same = [parity(difference=0.0, kind="identical")]
    rough = [parity(kind="approximate", snr_db=52.3, difference=3e-4, instead_of="<= 1e-06")]
    return [
        *launches("native", 0.0471, jitter=0.002, floor=0.0221, calls=120, **STEMS),
        *launches("torch_rfft", 0.61, jitter=0.016, parity=[parity(difference=4.8e-7)], floor=0.0221, calls=30, peak=14 * 10**8, **STEMS),
        *launches("mlx_batched", 3.7, parity=[parity(False, 2.1e-6)], **STEMS),
        *launches("torch_rfft", 0.27, jitter=0.013, variant={"precision": "float32"}, exact=False, parity=rough, floor=0.0221, **STEMS),
        *launches("reference", 2.31, jitter=0.017, calls=20, **STEMS),
        *launches("madmom", 1.223, parity=[parity(difference=0.0)], calls=20, peak=900_000_000, **STEMS),
        *launches("librosa", 0.45, jitter=0.03, parity=[parity(False, 2.1e-6)], calls=20, **STEMS),
        *launches("native", 0.0098, jitter=0.004, parity=same, settings={"threads": 1}, **DBN),
        *launches("native", 0.0061, jitter=0.004, parity=same, settings={"threads": 2}, **DBN),
        record("numpy_semimarkov", outcome="crashed", message="signal 11 (SIGSEGV) in run()", **DBN),
        *launches("reference", 1.9, jitter=0.005, **DBN),
        *launches("madmom", 0.41, jitter=0.006, parity=same, **{**DBN, "peak": 1_300_000_000}),
    ]


def targets() -> list[Target]:
    def target(component: str, metric: str, **fields: object) -> Target:
        origin = f"implementations/{component}/targets.toml: entry 1"
        return Target(component, "any", metric, "the issue", "stated", origin=origin, **fields)  # type: ignore[arg-type]

    return [
        target("spectrogram", "speedup_over_madmom", at_least=25.0, implementation="native"),
        target("spectrogram", "max_abs_difference", at_most=1e-6),
        target("spectrogram", "rtf", at_most=0.001),
        target("spectrogram", "speedup_over_madmom", at_least=4.3, implementation="torch_rfft"),
        target("dbn", "speedup_over_madmom", at_least=64.0, implementation="native", settings={"threads": 2}),
        target("dbn", "speedup_over_madmom", at_least=40.0, implementation="native", settings={"threads": 1}),
        target("dbn", "seconds_per_call", at_most=0.005, case="ten-minutes"),
    ]


def verdicts() -> Verdicts:
    gone = [LeftOut("spectrogram", "torch_cuda", "", "no CUDA device"), LeftOut("spectrogram", "torch_mps", "", "no MPS device")]
    left = [LeftOut("dbn", "", "ten-minutes", "only with --thorough: over 60 s of audio per call")]
    return judge(plan(records(), unavailable=gone, left_out=left), records(), targets(), ("x86-64-avx512", "any"), machine=MACHINE)
