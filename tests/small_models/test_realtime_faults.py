"""Each fault that real-time audio knows, injected into a real session: seen, and called by its name."""

import pytest
import realtime_faults

from harness.measure.process import WorkerFailed, WorkerProcess
from harness.realtime import figures
from harness.realtime.judging import judge
from harness.realtime.session import preloaded

FRAMES, RATE = 128, 48000


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    return realtime_faults.build(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def play(faults):
    """A function: name of the implementation -> figures of its callback, and answers by metric."""

    def played(name: str, seconds: float = 0.5):
        with WorkerProcess(name, preloaded({"REALTIME_FAULTS": str(faults)})) as worker:
            answer = worker.ask(
                "realtime",
                implementation=f"realtime_faults:{name}",
                settings={"audio_buffer": FRAMES, "sample_rate": RATE},
                seconds=seconds,
                window_seconds=seconds / 2,
                seed=1,
            )
        subject = figures.of(answer["subject"], tuple(answer["flags"]))
        empty = figures.of(answer["empty"], results=False)
        answers = {one.metric: one for one in judge(subject, empty, answer["latency"], FRAMES, RATE)}
        assert subject.watched
        assert empty.allocations == empty.locks == empty.voluntary == 0
        return subject, answers

    return played


def passing(answers, *names):
    return {name: answers[name].state for name in names} == dict.fromkeys(names, "pass")


ALWAYS = ("allocations", "locks", "voluntary", "torn", "unfinite", "latency", "results")
"""What no slow, broken or switched-off model may change."""


def test_a_sound_pipeline_passes_what_noise_cannot_touch(play):
    subject, answers = play("PLAIN")
    assert passing(answers, *ALWAYS)
    assert answers["misses"].state != "fail"
    assert set(subject.latencies) == {960}
    assert subject.results.dropped == 0


def test_a_model_of_5_ms_costs_age_and_no_deadline(play):
    subject, answers = play("SLOW_5")
    assert passing(answers, *ALWAYS)
    assert answers["misses"].state != "fail"
    assert subject.results.ages[0] > 0.005


def test_a_model_slower_than_the_hop_skips_audio_and_its_results_are_old(play):
    subject, answers = play("SLOW_12")
    assert passing(answers, *ALWAYS)
    assert answers["misses"].state != "fail"
    # At least 12 ms for hops of 10 ms: every sixth has no result of its own. Old as they are, they do not pile up.
    assert subject.results.skipped >= 3
    assert subject.results.ages[0] > 0.012
    assert subject.results.dropped == 0


def test_a_model_that_gives_nan_is_replaced_and_flagged_alone(play):
    subject, answers = play("NAN")
    assert passing(answers, *ALWAYS)
    flagged = subject.results.flagged
    assert flagged["not finite"] > 0.5
    assert flagged["harmony_predictor neutral"] > 0.5
    # Whatever is not of the third model is neutral only while results are missing or too old.
    assert flagged.get("melody_transformer neutral", 0) <= flagged.get("too old", 0) + flagged.get("no result", 0)


def test_an_engine_that_throws_is_flagged_and_audio_goes_on(play):
    subject, answers = play("CRASH")
    assert passing(answers, *ALWAYS)
    assert subject.results.flagged["stopped"] > 0.3
    assert set(subject.latencies) == {960}


def test_a_python_step_that_raises_is_flagged(play):
    subject, answers = play("RAISING")
    assert passing(answers, *ALWAYS)
    assert subject.results.flagged["failed"] + subject.results.flagged.get("too old", 0) > 0.9


def test_switching_models_in_a_storm_tears_nothing(play):
    subject, answers = play("STORM")
    assert passing(answers, *ALWAYS)
    assert subject.results.flagged["switched off"] > 0.1


def test_a_mutex_shared_with_inference_is_seen(play):
    subject, answers = play("LOCKS")
    assert answers["locks"].state == "fail"
    assert subject.locks >= subject.callbacks
    assert answers["voluntary"].state == "fail"
    assert "the callback blocked" in answers["voluntary"].message
    assert subject.misses > 0


def test_malloc_in_the_callback_is_seen(play):
    subject, answers = play("ALLOCATES")
    assert answers["allocations"].state == "fail"
    assert subject.allocations >= 2 * subject.callbacks
    assert answers["locks"].state == "pass"


def test_a_latency_that_is_not_the_real_one_is_seen(play):
    _, answers = play("LIAR", seconds=0.2)
    assert answers["latency"].state == "fail"
    assert "reported 1984 samples, measured 960" in answers["latency"].message


def test_a_process_that_ends_is_a_failed_worker(play):
    with pytest.raises(WorkerFailed, match="exit code 3"):
        play("ENDS_PROCESS")
