"""The source document's variables, its lightweight mode, and its log block."""

import logging

import pytest
from machine_files import MACHINES, machine

from harness import context, lightweight, profile
from harness.lightweight import block, decided, detected, from_environment
from harness.settings import ConfigurationError, Settings


def test_documents_variables_are_settings():
    environ = {"LIGHTWEIGHT_MODE": "Yes", "MODEL_SIZE": "large", "MODEL_PRECISION": "float16", "AUDIO_BUFFER_SIZE": "4096",
               "WORKER_CONCURRENCY": "2", "MAX_AUDIO_DURATION": "90", "THREADS": "7"}  # fmt: skip
    expected = Settings(mode="lightweight", model_size="large", precision="float16", audio_buffer=4096, workers=2, longest_audio=90.0)
    assert from_environment(environ) == expected
    assert from_environment({"LIGHTWEIGHT_MODE": "", "MODEL_SIZE": " "}) == Settings()


@pytest.mark.parametrize(("text", "mode"), [("true", "lightweight"), ("1", "lightweight"), ("no", "full"), ("0", "full"), ("AUTO", "auto")])
def test_lightweight_mode_as_the_document_writes_it(text, mode):
    assert from_environment({"LIGHTWEIGHT_MODE": text}).mode == mode


@pytest.mark.parametrize("variable", lightweight.VARIABLES)
def test_a_wrong_value_names_the_variable(variable):
    with pytest.raises(ConfigurationError, match=f"environment variable {variable}: .*expected .* found 'perhaps'"):
        from_environment({variable: "perhaps"})


def test_order_is_profile_document_environment_command_line():
    chosen = profile.choose(machine("graviton-3"))
    documented = {"MODEL_SIZE": "small", "WORKER_CONCURRENCY": "3", "MAX_AUDIO_DURATION": "9"}
    environ = {**documented, "HARNESS_WORKERS": "4", "HARNESS_LONGEST_AUDIO": "8"}
    settings, origin = profile.settings_for(chosen, environ, Settings(longest_audio=7.0))
    assert (settings.model_size, settings.workers, settings.longest_audio) == ("small", 4, 7.0)
    assert origin["model_size"] == "environment MODEL_SIZE"
    assert origin["workers"] == "environment HARNESS_WORKERS"
    assert origin["longest_audio"] == "command line"


def test_auto_means_lightweight_on_small_machines_only():
    small = {name for name in MACHINES if detected(machine(name), {})[0] == "lightweight"}
    assert {"raspberry-pi-4", "raspberry-pi-5"} <= small
    assert not small & {"apple-m1", "apple-m3-pro", "gb10", "amd-epyc-vm", "intel-hybrid"}


@pytest.mark.parametrize("name", MACHINES)
def test_documents_own_rule_goes_by_the_architecture(name):
    found = machine(name)
    mode, why = detected(found, {"LIGHTWEIGHT_DETECT": "architecture"})
    assert (mode == "lightweight") == (found.architecture == "arm64")
    assert found.architecture in why


def test_only_auto_is_decided():
    for mode in (None, "full", "lightweight"):
        assert decided(Settings(mode=mode), machine("raspberry-pi-4"), {}) == (Settings(mode=mode), "")
    settings, why = decided(Settings(mode="auto", workers=3), machine("raspberry-pi-4"), {})
    assert settings == Settings(mode="lightweight", workers=3)
    assert why.startswith("auto: ")


def test_an_unknown_rule_is_refused():
    with pytest.raises(ConfigurationError, match="LIGHTWEIGHT_DETECT: expected machine or architecture, found 'chip'"):
        detected(machine("gb10"), {"LIGHTWEIGHT_DETECT": "chip"})


def test_block_is_logged_when_a_command_looks_at_the_machine(caplog, monkeypatch):
    monkeypatch.setenv("MAX_AUDIO_DURATION", "90")
    with caplog.at_level(logging.INFO, "harness.context"):
        found = context.gather()
    assert caplog.messages == ["\n".join(block(found.settings, found.machine))]
    assert "Max Audio Duration: 90s" in caplog.messages[0]


def test_block_is_the_documents():
    assert block(Settings(mode="lightweight"), machine("raspberry-pi-4")) == (
        "=" * 60, "Grammy Engine Configuration", "=" * 60, "Architecture: aarch64", "ARM Architecture: True", "Lightweight Mode: True",
        "Model Size: small", "Model Precision: int8", "Audio Buffer Size: 2048", "Worker Concurrency: 1", "Max Audio Duration: 60s",
        "=" * 60,
    )  # fmt: skip
    full = block(Settings(model_size="large", workers=5), machine("amd-epyc-vm"))
    assert {"Architecture: x86_64", "ARM Architecture: False", "Lightweight Mode: False", "Model Size: large"} <= set(full)
    assert {"Model Precision: float32", "Audio Buffer Size: 8192", "Worker Concurrency: 5", "Max Audio Duration: 300s"} <= set(full)
