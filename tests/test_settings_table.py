"""docs/settings.md is what the registry says, and every variable of the source document shows somewhere."""

from settings_table import NOWHERE, PAGE, SHOWS, ours, page

from harness.component import Effect
from harness.lightweight import VARIABLES
from harness.measure.effects import fixed
from harness.registry import discover

REGISTRY = discover()


def test_the_page_is_written_from_the_registry():
    assert PAGE.read_text(encoding="utf-8") == page(REGISTRY), "run `python tests/settings_table.py`"


def test_every_effect_names_a_case_a_setting_that_is_honoured_and_what_shows():
    for name in ours(REGISTRY):
        component = REGISTRY.components[name]
        for effect in component.effects:
            assert effect.case in [case.name for case in component.cases]
            assert effect.shows in SHOWS
            assert any(effect.setting in item.settings for item in REGISTRY.implementations(name).values()), (name, effect)


def test_every_setting_that_an_implementation_honours_must_show_somewhere():
    for name in ours(REGISTRY):
        named = {effect.setting for effect in REGISTRY.components[name].effects}
        for item in REGISTRY.implementations(name).values():
            unproved = {setting for setting in item.settings if setting not in named and not fixed(item, setting)}
            if item.role == "optimized" and not item.realtime:
                assert not unproved, f"{name}.{item.name} honours {unproved}, and its component does not say where that must show"


def test_every_variable_of_the_document_shows_on_a_component():
    rows = [line.split("|") for line in page(REGISTRY).splitlines() if line.startswith(tuple(f"| {name} |" for name in VARIABLES))]
    assert [row[1].strip() for row in rows] == list(VARIABLES)
    assert NOWHERE not in [row[5].strip() for row in rows]


def test_workers_are_processes_and_too_much_audio_is_an_error():
    effects = {effect.setting: effect for effect in REGISTRY.components["song_queue"].effects}
    assert effects["workers"] == Effect("workers", (1, 3), "four-clips", "processes")
    assert effects["longest_audio"].shows == "error"
