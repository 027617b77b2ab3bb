"""The model of the published codec from a few of its layers."""

import numpy as np
import pytest

from implementations._comparing import snr_db, timed
from implementations.codec.benchmark import CHECKED, DEPTHS, Layers, evaluations, model_of
from implementations.codec.configuration import FLAVOURS
from implementations.codec.products import calls_of, operations, products
from implementations.codec.work import evaluation


def test_costs_of_layers_follow_from_three_depths():
    truth = Layers(rest=0.5, first=0.25, second=1.0)
    found = model_of({depth: truth.seconds(depth) for depth in DEPTHS})
    assert (found.rest, found.first, found.second) == pytest.approx((0.5, 0.25, 1.0))
    assert found.seconds(CHECKED) == 3.0
    assert found.seconds((24, 6)) == 12.5


@pytest.mark.parametrize(("precision", "least"), [("float32", 110), ("bfloat16", 30)])
def test_both_evaluations_are_of_the_same_weights_and_inputs(precision, least):
    calls = evaluations(FLAVOURS["tiny"], 5, precision)
    assert least <= snr_db(calls["reference"](), calls["torch_packed"]()) < 200


def test_calls_take_turns_and_the_first_round_only_warms_up():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in ("one", "two")}
    seconds, ratios = timed(calls, 3)
    assert order == ["two", "one", "one", "two", "two", "one", "one", "two"]
    assert set(seconds) == {"one", "two"}
    assert len(ratios) == 3


def test_equal_results_have_no_noise():
    assert snr_db(np.ones(3), np.ones(3)) == float("inf")
    assert snr_db(np.ones(3), np.full(3, 1.1)) == pytest.approx(20)


@pytest.mark.parametrize("name", ["tiny", "width", "published"])
def test_products_and_attention_are_the_work_of_an_evaluation(name):
    counted = evaluation(name, 2, 186)
    assert operations(FLAVOURS[name], 186) == counted.total - counted.fixed - counted.present


def test_each_product_is_called_on_values_of_its_shape():
    found = products(FLAVOURS["tiny"], 5)
    assert [call().shape for call in calls_of(found).values()] == [(product.rows, product.outputs) for product in dict.fromkeys(found)]
