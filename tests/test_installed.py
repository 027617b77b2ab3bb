"""What an old session no longer has in common with what is installed."""

from __future__ import annotations

import dataclasses

import pytest
from synthetic import launches, plan, planned

from harness.installed import Code, Contract, Installed
from harness.record import Build, LeftOut

BUILD = Build("audio-perf-harness", "0.1.0")
RECORDS = launches("native", settings={"threads": 1}) + launches("reference")
NOW = Installed({"spectrogram": Contract(1, ("drums",), {"reference": Code((), BUILD), "native": Code(("threads",), BUILD)})})
NATIVE = planned(RECORDS)[0]


def with_native(**changes: object) -> Installed:
    known = NOW.components["spectrogram"]
    code = dataclasses.replace(known.implementations["native"], **changes)  # type: ignore[arg-type]
    return Installed({"spectrogram": dataclasses.replace(known, implementations={**known.implementations, "native": code})})


def test_what_is_as_it_was_has_nothing_to_say() -> None:
    assert NOW.other_contract("spectrogram", [1, 1]) == NOW.gone(NATIVE) == ""
    assert NOW.notes(plan(RECORDS), RECORDS) == []


@pytest.mark.parametrize(("found", "said"), [([2], "contract version 2 of"), (["1", "3"], "contract version 3 of"), ([], ""), (["1"], "")])
def test_another_contract_is_named_with_both_versions(found: list[int | str], said: str) -> None:
    message = NOW.other_contract("spectrogram", found)
    assert said in message
    assert bool(message) == ("installed is version 1" in message) == bool(said)


@pytest.mark.parametrize(
    ("now", "changes", "message"),
    [
        (Installed({}), {}, "component spectrogram is not registered now: its contract"),
        (Installed({}, {"spectrogram": "no numpy"}), {}, r"not registered now \(broken: no numpy\)"),
        (NOW, {"implementation": "torch"}, r"spectrogram.torch is not registered now, .* \(registered: reference, native\)"),
        (Installed(NOW.components, {"spectrogram.torch": "no torch"}), {"implementation": "torch"}, r"since \(broken: no torch\)"),
        (NOW, {"case": "drum"}, r"spectrogram has no case 'drum' now, .* \(cases: drums\)"),
        (with_native(settings=()), {}, "spectrogram.native does not honour threads now"),
    ],
)
def test_what_is_gone_says_what_and_what_there_is(now: Installed, changes: dict[str, str], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(now.gone(dataclasses.replace(NATIVE, **changes)))  # type: ignore[arg-type]


def test_the_users_own_audio_is_no_case_of_the_component() -> None:
    assert NOW.gone(dataclasses.replace(NATIVE, case="input-0123456789ab")) == ""


@pytest.mark.parametrize("build", [{"version": "0.2.0"}, {"native": "abcdef0123"}, {"distribution": "fork"}])
def test_another_build_is_a_note(build: dict[str, str]) -> None:
    now = dataclasses.replace(BUILD, **build)
    (note,) = with_native(build=now).notes(plan(RECORDS), RECORDS)
    assert note.startswith(f"measured was audio-perf-harness 0.1.0, installed is {now.distribution} {now.version}")
    assert note.endswith("(spectrogram.native)")


def test_what_never_loaded_has_no_build_to_compare() -> None:
    crashed = launches("native", settings={"threads": 1}, outcome="crashed", build=Build())
    crashed += launches("reference")
    assert NOW.notes(plan(crashed), crashed) == []


def test_what_cannot_run_any_more_is_a_note() -> None:
    (note,) = with_native(unavailable="no compiler").notes(plan(RECORDS), RECORDS)
    assert note == "spectrogram.native cannot run here now (no compiler): what was measured is judged"


def test_what_is_beyond_the_session_is_counted_and_named() -> None:
    extra = {f"more{number}": Code((), BUILD) for number in range(10)}
    known = NOW.components["spectrogram"]
    implementations = {**known.implementations, "gone": Code((), BUILD), **extra}
    now = Installed({"spectrogram": dataclasses.replace(known, implementations=implementations), "dbn": known})
    (note,) = now.notes(plan(RECORDS, unavailable=[LeftOut("spectrogram", "gone", "", "no device")]), RECORDS)
    assert note.startswith("registered now, not in this session, not judged: dbn, spectrogram.more0, spectrogram.more1, ")
    assert "gone" not in note
    assert note.endswith("spectrogram.more6 and 3 more; `harness run` measures it")
