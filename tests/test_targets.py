"""Targets: what a file may say, what it may not, and which bound counts."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from harness.component import Approximate, Case, Close, Component, Implementation, Metric, Unit, Variant
from harness.settings import ConfigurationError
from harness.targets import Target, TargetError, in_force, load, load_overrides

PROFILES = ("any", "arm64-neon", "graviton")


def implementation(name: str, role: str = "optimized", **fields: object) -> Implementation:
    return Implementation("toy", name, role, load=lambda settings: nullcontext(lambda inputs: {}), **fields)  # type: ignore[arg-type, return-value]


INT8 = Variant({"precision": "int8"}, {"y": Approximate(Metric("snr_db", at_least=30), "int8")})
IMPLEMENTATIONS = (
    implementation("reference", "reference"),
    implementation("native", settings=("precision",), variants=(INT8,)),
    implementation("madmom", "peer"),
)


def component(audio: float | None = 1.0, policy: object = None) -> Component:
    cases = (Case("short", lambda seed: {"x": np.zeros(1)}, quick=True), Case("long", lambda seed: {"x": np.zeros(9)}))
    return Component("toy", Unit("frame", audio), cases, {"y": policy or Close(1e-6)}, lambda inputs, outputs: 1.0)  # type: ignore[dict-item]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "targets.toml"
    path.write_text(text)
    return path


def entry(**changes: object) -> str:
    values = {"profile": "any", "metric": "rtf", "at_most": 0.1, "source": "the document", "kind": "stated", **changes}
    return "[[target]]\n" + "".join(f"{name} = {toml(value)}\n" for name, value in values.items() if value is not None)


def toml(value: object) -> str:
    return "{ " + ", ".join(f"{name} = {toml(item)}" for name, item in value.items()) + " }" if isinstance(value, dict) else repr(value)


def test_an_entry_becomes_a_target(tmp_path: Path) -> None:
    text = entry(metric="speedup_over_madmom", at_most=None, at_least=25, implementation="native", case="long", settings={"threads": 2})
    (target,) = load(written(tmp_path, text), component(), IMPLEMENTATIONS, PROFILES)
    assert target == Target(
        component="toy", profile="any", metric="speedup_over_madmom", source="the document", kind="stated", at_least=25,
        implementation="native", case="long", settings={"threads": 2},
        origin=f"{tmp_path / 'targets.toml'}: entry 1",
    )  # fmt: skip
    assert target.words == "speedup_over_madmom >= 25"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (entry(metric="rtff"), r"targets.toml: entry 1 \(rtff\): unknown metric of toy 'rtff'; known: agreement, chunk_jitter_seconds, "),
        (entry(metric="speedup_over_librosa", at_most=None, at_least=2), "unknown metric of toy 'speedup_over_librosa'"),
        (entry(metric="f_measure", at_most=None, at_least=0.9), "unknown metric of toy 'f_measure'"),
        (entry(at_least=0.1), "exactly one of at_most and at_least, found at_most and at_least"),
        (entry(at_most=None), "exactly one of at_most and at_least, found neither"),
        (entry(at_most="fast"), "at_most: expected a finite number, found 'fast'"),
        (entry(at_most=True).replace("True", "true"), "expected a finite number, found True"),
        (entry().replace("0.1", "inf"), "expected a finite number, found inf"),
        (entry(profile="arm"), "unknown profile 'arm'; known: any, arm64-neon, graviton"),
        (entry(case="lnog"), "unknown case of toy 'lnog'; known: long, short"),
        (entry(implementation="nativ"), "unknown implementation of toy 'nativ'; known: madmom, native, reference"),
        (entry(kind="guessed"), "unknown kind 'guessed'; known: measured, stated"),
        (entry(source=None), "expected 'source', found none"),
        (entry(cases="long"), r"unknown keys \['cases'\]"),
        (entry(profile=3), "profile: expected a str, found 3"),
        (entry(settings={"thread": 2}), "settings: .*thread"),
        (entry(settings={"threads": 0}), "settings: setting threads: expected a whole number"),
        (entry(at_most=None, at_least=0.1), "of rtf less is better: expected at_most, found at_least"),
        (entry(metric="seconds_per_call", at_most=-1.0), r"no seconds_per_call can satisfy at_most = -1: it lies in \[0, inf\]"),
        (entry(metric="limit_share", at_most=None, at_least=0.5), "has no limit_share: it has no work model"),
        (entry() + entry(), "entry 2 .*bounds the same as entry 1"),
        ("[target]\nprofile = 'any'\n", "expected a list of entries in double brackets"),
        ("[[targets]]\nprofile = 'any'\n", r"expected only \[\[target\]\] entries, found \['targets'\]"),
        ("[[target]\n", "expected a readable TOML file"),
    ],
)
def test_an_entry_that_cannot_be_is_a_configuration_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TargetError, match=message) as raised:
        load(written(tmp_path, text), component(), IMPLEMENTATIONS, PROFILES)
    assert isinstance(raised.value, ConfigurationError)


def test_without_audio_there_is_no_rtf_to_bound(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"toy has no rtf: its unit \(frame\) stands for no audio"):
        load(written(tmp_path, entry()), component(audio=None), IMPLEMENTATIONS, PROFILES)


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="expected a readable TOML file"):
        load(tmp_path / "targets.toml", component(), IMPLEMENTATIONS, PROFILES)


def test_parity_metrics_of_the_component_and_of_variants_can_be_bounded(tmp_path: Path) -> None:
    own = component(policy=Metric("loudness_error", at_most=0.1, function=lambda reference, candidate: 0.0))
    text = entry(metric="loudness_error") + entry(metric="snr_db", at_most=None, at_least=30, settings={"precision": "int8"})
    assert [t.metric for t in load(written(tmp_path, text), own, IMPLEMENTATIONS, PROFILES)] == ["loudness_error", "snr_db"]


def test_no_entries_are_no_targets(tmp_path: Path) -> None:
    assert load(written(tmp_path, ""), component(), IMPLEMENTATIONS, PROFILES) == ()


def test_overrides_come_from_pyproject(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(entry(at_most=0.2).replace("[[target]]", "[[tool.harness.targets.toy]]"))
    (target,) = load_overrides(path, {"toy": (component(), IMPLEMENTATIONS)}, PROFILES)
    assert (target.at_most, target.override) == (0.2, True)
    assert target.origin == f"{path}: tool.harness.targets.toy: entry 1"
    path.write_text("[project]\nname = 'x'\n")
    assert load_overrides(path, {}, PROFILES) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[tool.harness.targets.tooy]]\nprofile = 'any'\n", "tool.harness.targets.tooy: unknown component; known: toy"),
        ("[tool.harness]\ntargets = 3\n", r"\[tool.harness.targets\]: expected a table, found 3"),
        ("[tool.harness.targets]\ntoy = 3\n", "expected a list of entries in double brackets, found 3"),
    ],
)
def test_overrides_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    with pytest.raises(TargetError, match=message):
        load_overrides(path, {"toy": (component(), IMPLEMENTATIONS)}, PROFILES)


def target(profile: str = "any", bound: float = 1.0, **fields: object) -> Target:
    return Target("toy", profile, "rtf", "s", "stated", at_most=bound, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("targets", "profiles", "bounds"),
    [
        ([target("any", 1), target("arm64-neon", 2)], ("graviton", "arm64-neon", "any"), [2]),
        ([target("arm64-neon", 2), target("any", 1)], ("graviton", "arm64-neon", "any"), [2]),
        ([target("any", 1), target("arm64-neon", 2)], ("x86-64-avx2", "any"), [1]),
        ([target("arm64-neon", 2)], ("x86-64-avx2", "any"), []),
        ([target("any", 1, case="long"), target("arm64-neon", 2)], ("arm64-neon", "any"), [1, 2]),
        ([target("any", 1, settings={"threads": 2}), target("arm64-neon", 2)], ("arm64-neon", "any"), [1, 2]),
        ([target("arm64-neon", 2), target("any", 3, override=True)], ("arm64-neon", "any"), [3]),
        ([target("any", 3, override=True), target("arm64-neon", 2)], ("arm64-neon", "any"), [3]),
        ([target("any", 3, override=True), target("arm64-neon", 4, override=True)], ("arm64-neon", "any"), [4]),
    ],
)
def test_which_bound_counts(targets: list[Target], profiles: tuple[str, ...], bounds: list[float]) -> None:
    assert [t.bound for t in in_force(targets, profiles)] == bounds


def test_components_that_share_a_folder_share_its_file(tmp_path: Path) -> None:
    path = written(tmp_path, entry(at_most=0.3) + entry(component="toy", case="long") + entry(component="other", case="its own"))
    found = load(path, component(), IMPLEMENTATIONS, PROFILES, beside=("toy", "other"))
    assert [(target.bound, target.case) for target in found] == [(0.3, None), (0.1, "long")]
    assert found[1].origin.endswith("entry 2")
    with pytest.raises(TargetError, match=r"entry 3 \(rtf\): unknown component here 'other'; known: toy"):
        load(path, component(), IMPLEMENTATIONS, PROFILES)
