"""Each implementation of the generator and its stages beside the reference."""

import dataclasses

import numpy as np
import pytest
from generator_rows import REGISTRY, outputs, rows
from hypothesis import HealthCheck, given, settings

from harness.parity import compare
from harness.settings import Settings
from implementations.generator.component import COMPONENTS, GENERATOR
from implementations.generator.narrow import nats_lost

ROWS = [pytest.param(name, item, chosen, id=f"{name}-{label}") for name in COMPONENTS for label, item, chosen in rows(name)]


def replaced(item, chosen):
    return next((variant.parity for variant in item.variants if variant.settings == chosen), {})


def quick(component):
    (case,) = (case for case in COMPONENTS[component].cases if case.quick)
    return case.make(0)


@pytest.fixture(scope="module")
def expected():
    return {name: outputs(REGISTRY.reference(name), quick(name)) for name in COMPONENTS}


def failures(component, reference, candidate, item, chosen, inputs):  # noqa: PLR0917
    results = compare(reference, candidate, COMPONENTS[component].policy, replaced=replaced(item, chosen), inputs=inputs)
    return [result.message for result in results if not result.passed]


@pytest.mark.parametrize(("name", "item", "chosen"), ROWS)
def test_the_quick_case(name, item, chosen, expected):
    found = outputs(item, quick(name), **chosen)
    assert not failures(name, expected[name], found, item, chosen, quick(name))
    assert COMPONENTS[name].produced(quick(name), found) == 12


@pytest.mark.parametrize(("name", "item", "chosen"), [row for row in ROWS if row.values[2] == {}])
def test_adversarial_inputs(name, item, chosen, expected):
    component = COMPONENTS[name]
    with REGISTRY.reference(name).load(Settings()) as reference, item.load(Settings()) as candidate:

        def joined(run, inputs):
            found = run(inputs)
            chunks = [found] if isinstance(found, dict) else list(found)
            return {output: np.concatenate([chunk[output] for chunk in chunks]) for output in chunks[0]}

        @settings(max_examples=12, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(component.strategy())
        def agree(inputs):
            assert not failures(name, joined(reference, inputs), joined(candidate, inputs), item, chosen, inputs)

        agree()


def test_the_bounds_tell_rounding_from_a_defect(expected):
    """5 % off fails the exact row, the frames of a neighbour fail the narrow one."""
    name, item = "generator_backbone", REGISTRY.implementations("generator_backbone")["torch_prepacked"]
    louder = {output: value * np.float32(1.05) for output, value in expected[name].items()}
    later = {output: np.roll(value, 1, axis=0) for output, value in expected[name].items()}
    assert len(failures(name, expected[name], louder, item, {}, quick(name))) == 2
    assert len(failures(name, expected[name], later, item, {"precision": "bfloat16"}, quick(name))) == 2


@pytest.mark.parametrize("row", ["torch_prepacked", "native"])
def test_rows_one_after_the_other_give_the_same(row, expected):
    item = REGISTRY.implementations("generator").get(row)
    found = outputs(item, quick("generator"), batch=1)
    assert not failures("generator", expected["generator"], found, item, {}, quick("generator"))


def test_sampling_does_not_depend_on_what_is_generated_beside_it():
    item = REGISTRY.implementations("generator")["torch_prepacked"]
    inputs = {**quick("generator"), "top_k": 50, "seed": 3}
    first, again = outputs(item, inputs), outputs(item, inputs)
    np.testing.assert_array_equal(first["codes"], again["codes"])
    shorter = outputs(item, {**inputs, "frames": 5})
    np.testing.assert_array_equal(first["codes"][:5], shorter["codes"])
    other = outputs(item, {**inputs, "seed": 4})
    assert (first["codes"] != other["codes"]).mean() > 0.5


def test_a_song_ends_before_the_frame_with_an_end_in_it():
    item = REGISTRY.reference("generator")
    inputs = {**quick("generator"), "top_k": 50, "seed": 1}
    whole = outputs(item, inputs)["codes"]
    end = int(whole[1:].max())
    stopped = outputs(item, {**inputs, "end": end})["codes"]
    last = 1 + int(np.argmax(whole[1:].max(axis=1) >= end))
    np.testing.assert_array_equal(stopped, whole[:last])


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_size_is_equal_to_the_references_of_that_size(size, expected):
    inputs = quick("generator")
    reference = outputs(REGISTRY.reference("generator"), inputs, model_size=size)
    for row in ("native", "torch_prepacked"):
        item = REGISTRY.implementations("generator")[row]
        assert not failures("generator", reference, outputs(item, inputs, model_size=size), item, {}, inputs)
    assert not np.array_equal(reference["logits"], expected["generator"]["logits"])


def test_lightweight_is_small_in_eight_bits_and_loses_little_of_a_song():
    item, inputs = REGISTRY.implementations("generator")["native"], GENERATOR.case("held-out-3s").make(1)
    light = outputs(item, inputs, mode="lightweight")
    np.testing.assert_array_equal(light["logits"], outputs(item, inputs, model_size="small", precision="int8")["logits"])
    whole = outputs(item, inputs)
    assert nats_lost(whole["logits"], outputs(item, inputs, precision="float16")["logits"], inputs) == pytest.approx(0, abs=1e-3)
    assert not failures("generator", whole, light, item, {"mode": "lightweight"}, inputs)
    later = {**whole, "logits": np.roll(whole["logits"], 1, axis=0)}
    assert len(failures("generator", whole, later, item, {"mode": "lightweight"}, inputs)) == 1
    with pytest.raises(ValueError, match=r"generator.native: mode: expected full or lightweight, found 'auto'"):
        outputs(item, inputs, mode="auto")


def test_variants_are_approximate_only_where_they_say_so():
    for name in COMPONENTS:
        for item in REGISTRY.implementations(name).values():
            for variant in item.variants:
                assert set(variant.parity) == set(COMPONENTS[name].policy), dataclasses.asdict(variant)
