import dataclasses
from pathlib import Path

import machine_files
import pytest

from harness.machine import Gpu, Machine
from harness.profile import SHIPPED, choose, load_all, project_folders, settings_for, worker_environment
from harness.profile.file import Margin, load
from harness.profile.predicates import PREDICATES, checked, unmet
from harness.settings import ConfigurationError, Settings

SHIPPED_NAMES = {
    "any", "x86-64-avx2", "x86-64-avx512", "arm64-neon", "apple-silicon", "raspberry-pi", "graviton", "gb10", "nvidia-gpu", "ci"
}  # fmt: skip
CUDA = Gpu("cuda", "NVIDIA GeForce RTX 3090", 8.6, 24.0)


def machine(name: str = "amd-epyc-vm", **changes: object) -> Machine:
    return dataclasses.replace(machine_files.machine(name), **changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lab.toml").write_text(
        'description = "The lab machine"\nextends = "x86-64-avx512"\n[match]\nvendor = "amd"\ncores_max = 2\n'
    )
    return tmp_path


def test_all_profiles_of_the_design_are_shipped() -> None:
    assert set(load_all()) == SHIPPED_NAMES


@pytest.mark.parametrize(
    ("name", "gpus", "expected"),
    [
        ("raspberry-pi-4", (), "raspberry-pi"),
        ("raspberry-pi-5", (), "raspberry-pi"),
        ("graviton-2", (), "graviton"),
        ("graviton-3", (), "graviton"),
        ("gb10", (Gpu("cuda", "NVIDIA GB10"),), "gb10"),
        ("apple-m1", (Gpu("mps", "Apple M1 GPU"),), "apple-silicon"),
        ("apple-m3-pro", (), "apple-silicon"),
        ("amd-epyc-vm", (), "x86-64-avx512"),
        ("intel-hybrid", (), "x86-64-avx2"),
        ("intel-xeon-container", (), "x86-64-avx512"),
        ("intel-mac", (), "x86-64-avx2"),
        ("amd-epyc-vm", (CUDA,), "nvidia-gpu"),
        ("graviton-2", (CUDA,), "nvidia-gpu"),
    ],
)
def test_exactly_one_profile_fits(name: str, gpus: tuple[Gpu, ...], expected: str) -> None:
    profile = choose(machine(name, gpus=gpus))
    assert profile.name == expected
    assert (profile.chosen, profile.unmet, profile.lineage[-1]) == ("by its predicates", (), "any")


def test_the_same_core_elsewhere_is_no_graviton() -> None:
    assert choose(machine("graviton-2", platform=("dmi:Ampere Computing",))).name == "arm64-neon"


def test_a_machine_that_nothing_describes_is_any() -> None:
    assert choose(machine(architecture="riscv64")).name == "any"
    assert choose(machine(instruction_sets=("sse2",))).name == "any"


def test_ci_is_only_chosen_by_name() -> None:
    assert not any(choose(machine(name)).name == "ci" for name in machine_files.MACHINES)
    profile = choose(machine(), "ci")
    assert (profile.name, profile.chosen) == ("ci", "by name")
    assert profile.margin("rtf") == Margin(0.02, 0.05)


def test_a_name_overrides_and_says_what_does_not_hold() -> None:
    profile = choose(machine(), "raspberry-pi")
    assert profile.chosen == "by name"
    assert profile.unmet == ("platform = ('raspberrypi,*',)", "architecture = ('arm64',)", "instruction_sets = ('asimd',)")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="no profile 'laptop'; known: any, apple-silicon, arm64-neon, ci"):
        choose(machine(), "laptop")


def test_a_project_adds_a_more_specific_one(folder: Path) -> None:
    profile = choose(machine(), folders=[folder])
    assert profile.lineage == ("lab", "x86-64-avx512", "x86-64-avx2", "any")
    assert choose(machine(logical_cores=4), folders=[folder]).name == "x86-64-avx512"


def test_two_leaves_are_an_error_that_lists_both(folder: Path) -> None:
    (folder / "studio.toml").write_text('description = "x"\nextends = "x86-64-avx2"\n')
    with pytest.raises(
        ConfigurationError, match=r"exactly one profile that fits, found lab \(.*lab.toml\), studio \(.*studio.toml\); let one"
    ):
        choose(machine(), folders=[folder])
    assert choose(machine(), "studio", folders=[folder]).name == "studio"


def test_a_child_of_a_parent_that_does_not_fit_does_not_fit(folder: Path) -> None:
    (folder / "odd.toml").write_text('description = "x"\nextends = "arm64-neon"\n[match]\nvendor = "amd"\n')
    assert choose(machine(), folders=[folder]).name == "lab"


def test_settings_are_inherited_and_say_where_they_come_from(folder: Path) -> None:
    (folder / "lab.toml").write_text('description = "x"\nextends = "x86-64-avx512"\n[settings]\nbatch = 4\naffinity = [0, 1]\n')
    profile = choose(machine(), folders=[folder])
    assert profile.settings == Settings(threads=2, batch=4, affinity=(0, 1))
    assert profile.settings_from == {"threads": "any", "batch": "lab", "affinity": "lab"}


@pytest.mark.parametrize(
    ("name", "gpus", "threads"),
    [("intel-hybrid", (), 12), ("apple-m1", (), 4), ("apple-m3-pro", (), 6), ("gb10", (CUDA,), 10), ("intel-xeon-container", (), 2)],
)
def test_threads_are_physical_or_performance_cores(name: str, gpus: tuple[Gpu, ...], threads: int) -> None:
    assert choose(machine(name, gpus=gpus)).settings.threads == threads


def test_performance_cores() -> None:
    assert machine("intel-hybrid").performance_cores == 8
    assert machine("gb10", physical_cores=4, logical_cores=4).performance_cores == 4
    assert machine().performance_cores == 2


def test_the_environment_of_a_fact_holds_where_the_fact_does() -> None:
    assert choose(machine()).environment["OPENBLAS_CORETYPE"] == "SkylakeX"
    assert choose(machine(gpus=(CUDA,))).environment["OPENBLAS_CORETYPE"] == "SkylakeX"
    assert "OPENBLAS_CORETYPE" not in choose(machine("intel-xeon-container")).environment
    assert "OPENBLAS_CORETYPE" not in choose(machine(instruction_sets=("avx2", "fma"))).environment
    assert choose(machine("raspberry-pi-5")).environment["GOMP_SPINCOUNT"] == "6000"


def test_every_fact_has_a_source() -> None:
    facts = [fact for definition in load_all().values() for fact in definition.facts]
    assert len(facts) >= 8
    assert all(fact.says.strip() and len(fact.source) > 10 for fact in facts)


def test_workers_get_the_number_of_threads_for_every_library() -> None:
    profile = choose(machine())
    environment = worker_environment(profile, Settings(threads=3))
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == environment["VECLIB_MAXIMUM_THREADS"] == "3"
    assert environment["OPENBLAS_CORETYPE"] == "SkylakeX"
    assert "OMP_NUM_THREADS" not in worker_environment(profile, Settings())


def test_margins_of_one_metric_and_of_all_others(folder: Path) -> None:
    (folder / "lab.toml").write_text(
        'description = "x"\nextends = "x86-64-avx512"\n[margins.peak_rss_bytes]\nfail_above = 0.05\npass_below = 0.1\n'
    )
    profile = choose(machine(), folders=[folder])
    assert profile.margin("peak_rss_bytes") == Margin(0.05, 0.1)
    assert profile.margin("rtf") == Margin(0.01, 0.025)


def test_profile_then_environment_then_command_line() -> None:
    profile = choose(machine())
    environ = {"HARNESS_THREADS": "1", "HARNESS_BATCH": "8", "PATH": "/bin"}
    settings, sources = settings_for(profile, environ, Settings(batch=2, precision="float32"))
    assert settings == Settings(threads=1, batch=2, precision="float32")
    assert sources == {"threads": "environment HARNESS_THREADS", "batch": "command line", "precision": "command line"}
    assert settings_for(profile, {}) == (Settings(threads=2), {"threads": "profile any"})


def test_a_bad_variable_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="HARNESS_THREADS: setting threads: expected a whole number from 1 to 1024, found 'many'"):
        settings_for(choose(machine()), {"HARNESS_THREADS": "many"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("description = 1", "description: expected str, found 1"),
        ("", "description: expected str, found None"),
        ('description = "x"\nextend = "any"', "unknown key 'extend'; known: description, extends"),
        ('description = "x"\nmanual = "no"', "manual: expected bool, found 'no'"),
        ('description = "x"\nmatch = 3', "match: expected a table, found 3"),
        ('description = "x"\n[match]\ncpu = "fast"', "unknown predicate 'cpu'; known: system, architecture"),
        ('description = "x"\n[match]\ncuda = 1', r"predicate cuda: expected true \(an NVIDIA GPU\) or false \(none\), found 1"),
        ('description = "x"\n[match]\nmodels = ["0xd08"]', "predicate models: expected CPUID models"),
        ('description = "x"\n[match]\ncores_min = true', "predicate cores_min: expected a number of logical cores, found True"),
        ('description = "x"\n[match]\nvendor = []', r"predicate vendor: expected .* found \[\]"),
        ('description = "x"\n[settings]\nthread = 2', r"settings: unknown \['thread'\]; known: threads"),
        (
            'description = "x"\n[settings]\nthreads = "all"',
            "settings.threads: expected a number or one of physical, performance, found 'all'",
        ),
        ('description = "x"\n[settings]\nprecision = "float8"', "setting precision: expected one of float64"),
        ('description = "x"\n[margins]\nrtf = 0.01', "margins.rtf: expected a table with fail_above and pass_below, found 0.01"),
        ('description = "x"\n[margins.rtf]\nfail = 0.01', "margins.rtf.unknown key 'fail'"),
        (
            'description = "x"\n[margins.rtf]\nfail_above = 0.1',
            "margins.rtf: expected 0 < fail_above <= pass_below < 1, found 0.1 and 0.025",
        ),
        ('description = "x"\nfact = 1', r"fact: expected \[\[fact\]\] tables"),
        ('description = "x"\n[[fact]]\nsays = "a"', "fact 1: source: expected str, found None"),
        ('description = "x"\n[[fact]]\nsays = "a"\nsource = "b"\nvalue = 1.0', "fact 1: expected value and unit together"),
        ('description = "x"\n[[fact]]\nsays = "a"\nsource = "b"\nenvironment = { threads = 1 }', "fact 1: environment: expected NAME = "),
        ('description = "x', "Illegal character|Unterminated|newline"),
    ],
)
def test_a_malformed_file_is_one_error_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=message) as raised:
        load(file)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_extending_what_does_not_exist_or_itself(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('description = "x"\nextends = "b"\n')
    with pytest.raises(ConfigurationError, match=r"a.toml: extends: 'b' is not known; known: a, any"):
        load_all([tmp_path])
    (tmp_path / "b.toml").write_text('description = "x"\nextends = "a"\n')
    with pytest.raises(ConfigurationError, match="extends: 'a' extends itself"):
        load_all([tmp_path])


def test_a_name_defined_twice_names_both_files(tmp_path: Path) -> None:
    (tmp_path / "any.toml").write_text('description = "x"\n')
    with pytest.raises(ConfigurationError, match=r"profile 'any' is defined twice: .*profiles.*any.toml and .*any.toml; rename one"):
        load_all([tmp_path])


def test_an_empty_or_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected a folder with .toml files, found none in"):
        load_all([tmp_path])
    with pytest.raises(ConfigurationError, match=r"found none in .*gone"):
        load_all([tmp_path / "gone"])


def test_a_project_names_its_folder(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert project_folders(tmp_path / "deep") == project_folders(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\nprofiles = "hardware"\n')
    assert project_folders(tmp_path / "deep" / "er") == (tmp_path / "hardware",)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    assert project_folders(tmp_path / "deep") == ()
    (tmp_path / "pyproject.toml").write_text("[tool.harness]\nprofiles = 3\n")
    with pytest.raises(ConfigurationError, match=r"\[tool.harness\] profiles: expected the name of a folder, found 3"):
        project_folders(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool")
    with pytest.raises(ConfigurationError, match=r"pyproject.toml: "):
        project_folders(tmp_path)


@pytest.mark.parametrize(
    ("name", "holds", "fails"),
    [
        ("system", "linux", "darwin"),
        ("architecture", ["arm64", "x86_64"], "arm64"),
        ("vendor", "amd", "intel"),
        ("family", 25, 26),
        ("models", [1, 17], [18]),
        ("instruction_sets", ["avx2", "fma"], ["avx2", "amx_int8"]),
        ("platform", "hyper*", "dmi:*"),
        ("cores_min", 2, 3),
        ("cores_max", 2, 1),
        ("memory_gib_min", 24, 24.5),
        ("memory_gib_max", 24, 16),
        ("cuda", True, False),
        ("compute_capability_min", 8.6, 9.0),
        ("gpu_memory_gib_min", 24, 48),
    ],
)
def test_each_predicate_holds_and_fails(name: str, holds: object, fails: object) -> None:
    here = machine(gpus=(CUDA,))
    assert unmet(here, {name: checked(name, holds)}) == ()
    assert len(unmet(here, {name: checked(name, fails)})) == 1


def test_no_predicate_is_left_untested() -> None:
    marks = test_each_predicate_holds_and_fails.pytestmark
    assert {row[0] for row in marks[0].args[1]} == set(PREDICATES)


def test_shipped_files_are_in_the_package() -> None:
    assert (SHIPPED / "any.toml").is_file()
