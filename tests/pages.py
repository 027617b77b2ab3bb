"""Pages made by hand: one with all that a page can show, and one as large as they get."""

from __future__ import annotations

import dataclasses
import hashlib
import math

import numpy as np
from histories import noise, ratios
from report_session import records as of_session
from report_session import targets, verdicts
from synthetic import MACHINE, launches, parity, plan

from harness.claims import ledger, load
from harness.component import Close, Identical, Metric
from harness.history import Key, steps, trends
from harness.limits import Ceiling, Limits
from harness.parity import ParityResult, compare
from harness.record import Floor, Record
from harness.report.html import Page
from harness.targets import Target
from harness.verdict import judge

COMMITS = [hashlib.sha1(bytes([number])).hexdigest() for number in range(24)]
FACTS = (("machine", MACHINE), ("processor", "Example CPU"), ("memory", "24 GiB"), ("state", "quiet"))
ROWS = ("native", "native[precision=int8]", "torch_rfft", "numpy_packed", "mlx_batched", "reference", "madmom")


def limits() -> Limits:
    """Two roofs of arithmetic and two of memory."""
    ceilings = [("gemm", "float32", 90.0, "G operations/s"), ("gemm", "int8", 300.0, "G operations/s"), ("read", "L2", 80.0, "GB/s"),
                ("read", "memory", 12.0, "GB/s")]  # fmt: skip
    return Limits(MACHINE, "2025-01-02", tuple(Ceiling(name, detail, 2, value, unit, "probe") for name, detail, value, unit in ceilings))


def wrong_spectrogram() -> ParityResult:
    """A spectrogram (2, 400, 81) that is wrong in a band of frames."""
    rng = np.random.default_rng(1)
    reference = rng.random((2, 400, 81))
    candidate = reference + 1e-7 * rng.random(reference.shape)
    candidate[1, 120:180, 20:44] += 3e-6 * np.hanning(60)[:, None] * np.hanning(24)
    return compare({"spectrogram": reference}, {"spectrogram": candidate}, {"spectrogram": Close(1e-6)})[0]


def wrong_beats() -> ParityResult:
    """Beats (n,) in seconds, one moved and one missing."""
    reference = np.arange(0.5, 20, 0.5)
    candidate = np.delete(reference, 25)
    candidate[18] += 0.12
    return compare({"beats": reference}, {"beats": candidate}, {"beats": Metric("f_measure", at_least=0.999)})[0]


def wrong_samples() -> ParityResult:
    """A waveform (n,) with a click."""
    reference = np.sin(np.arange(4000) / 9)
    candidate = reference.copy()
    candidate[2000:2005] += 0.4
    return compare({"audio": reference}, {"audio": candidate}, {"audio": Identical()})[0]


def everything() -> Page:
    """The session of the other reports, with pictures, trends with a step, the ledger, limits and a link to the dashboards."""
    pictures = {"mlx_batched": wrong_spectrogram(), "librosa": wrong_samples()}
    records = [_with_work(dataclasses.replace(r, parity=(pictures[r.row],)) if r.row in pictures else r) for r in of_session()]
    generator = np.random.default_rng(3)
    series = {"native": 0.02, "torch_rfft": 0.31, "numpy_semimarkov": 0.33}
    points = [
        dataclasses.replace(point, commit=COMMITS[int(point.commit, 16)])
        for name, level in series.items()
        for point in ratios(
            level * np.where(np.arange(24) < 15, 1.0, 1.14 if name == "native" else 1.0) * noise(generator, 24, 0.012, False),
            Key("spectrogram", "seconds_per_call", "ratio", name, "stems"),
        )
    ]
    plan_ = dataclasses.replace(verdicts().plan, machine=MACHINE)  # type: ignore[type-var]
    judged = judge(plan_, records, targets(), ("x86-64-avx512", "any"), machine=MACHINE)
    entries = ledger(load(), [(plan_, records)], ["spectrogram", "dbn"])
    found = {MACHINE: trends(points, steps(points))}
    return Page(judged, records, entries, found, facts=FACTS, limits=limits(), dashboards="asv/index.html")


def large(components: int = 12, records: int = 1000) -> Page:
    """So many components and records in one session, each component on two cases, with targets and the ledger."""
    each = math.ceil(records / components / (3 * len(ROWS)))
    found: list[Record] = []
    for number in range(components):
        for case in range(each):
            for place, row in enumerate(ROWS):
                name, _, variant = row.partition("[")
                approximate = {"variant": {"precision": "int8"}, "exact": False, "parity": [parity(kind="approximate", snr_db=40.0)]}
                found += launches(name, 0.001 * (place + 1) ** 2, component=f"component_{number:02d}", case=f"case-{case:02d}", jitter=0.01,
                                  floor=5e-4, **(approximate if variant else {}))  # fmt: skip
    bounds = [
        Target(f"component_{number:02d}", "any", metric, "the issue", "stated", at_most=bound, origin="targets.toml: entry 1")
        for number in range(components)
        for metric, bound in (("rtf", 1e-4), ("peak_bytes", 4e8))
    ]
    found, what = list(map(_with_work, found)), plan(found)
    keys = [Key(f"component_{number:02d}", "seconds_per_call", "ratio", row, "case-00") for number in range(components) for row in ROWS[:5]]
    points = [point for key in keys for point in ratios(np.linspace(0.1, 0.2, 24), key)]
    return Page(judge(what, found, bounds, ("any",), machine=MACHINE), found, ledger(load(), [], []), {MACHINE: trends(points, ())},
                facts=FACTS, limits=limits())  # fmt: skip


def _with_work(record: Record) -> Record:
    floor = record.floor and Floor(record.floor.seconds, record.floor.ceiling, 1.4e9, 2.2e8)
    return dataclasses.replace(record, floor=floor)
