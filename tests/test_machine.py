import dataclasses
import json
import subprocess
import sys
import types

import machine_files
import pytest

from harness.machine import Cache, Core, Gpu, Machine, describe, from_json, linux, macos, memory_class, nvidia, this_machine, windows
from harness.machine.identity import GIB
from harness.machine.state import State


def test_a_virtual_amd_machine() -> None:
    machine = machine_files.machine("amd-epyc-vm")
    assert machine.cores == (Core("amd", 17, 2, 25, "", 1024),)
    assert (machine.physical_cores, machine.logical_cores, machine.memory_gib) == (2, 2, 24)
    assert machine.caches == (
        Cache(1, "data", 32 << 10, 1, 2),
        Cache(1, "instruction", 32 << 10, 1, 2),
        Cache(2, "unified", 1 << 20, 1, 2),
        Cache(3, "unified", 32 << 20, 2, 1),
    )
    assert {"avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni"} <= set(machine.instruction_sets)
    assert machine.platform == ("hypervisor",)
    assert machine.name == f"x86_64-amd-25-17-2c-24g-{machine.identity[:8]}"
    assert [machine.cache_bytes(level) for level in (1, 2, 3, 4)] == [32 << 10, 1 << 20, 32 << 20, 0]


def test_a_hybrid_intel_processor_has_two_kinds_of_core() -> None:
    machine = machine_files.machine("intel-hybrid")
    assert machine.cores == (Core("intel", 151, 16, 6, "performance"), Core("intel", 151, 4, 6, "efficiency"))
    assert (machine.physical_cores, machine.logical_cores, machine.memory_gib) == (12, 20, 32)
    assert Cache(2, "unified", 1280 << 10, 2, 8) in machine.caches
    assert Cache(2, "unified", 2048 << 10, 4, 1) in machine.caches
    assert "avx_vnni" in machine.instruction_sets


def test_a_container_has_what_its_control_group_allows() -> None:
    machine = machine_files.machine("intel-xeon-container")
    assert (machine.physical_cores, machine.logical_cores, machine.memory_gib) == (2, 2, 4)


def test_affinity_limits_the_cores_and_the_sharing_of_caches() -> None:
    machine = machine_files.machine("intel-hybrid", cpus={0, 1, 16})
    assert [core.count for core in machine.cores] == [2, 1]
    assert (machine.physical_cores, machine.logical_cores) == (2, 3)
    assert Cache(3, "unified", 25600 << 10, 3, 1) in machine.caches


@pytest.mark.parametrize(
    ("name", "part", "memory", "has", "lacks"),
    [
        ("raspberry-pi-4", 0xD08, 4, {"asimd", "crc32"}, {"asimddp", "aes"}),
        ("raspberry-pi-5", 0xD0B, 8, {"asimddp", "asimdhp", "aes"}, {"bf16", "sve"}),
        ("graviton-2", 0xD0C, 16, {"asimddp"}, {"bf16", "sve"}),
        ("graviton-3", 0xD40, 8, {"bf16", "i8mm", "sve"}, {"sve2"}),
    ],
)
def test_arm_boards(name: str, part: int, memory: float, has: set[str], lacks: set[str]) -> None:
    machine = machine_files.machine(name)
    assert machine.architecture == "arm64"
    assert machine.cores == (Core("arm", part, 4),)
    assert machine.memory_gib == memory
    assert has <= set(machine.instruction_sets)
    assert not lacks & set(machine.instruction_sets)
    assert machine.name.startswith(f"arm64-arm-{part:x}-4c-{memory}g-")


def test_boards_are_told_apart_by_their_firmware() -> None:
    assert machine_files.machine("raspberry-pi-4").platform == ("raspberrypi,4-model-b", "brcm,bcm2711")
    assert machine_files.machine("graviton-3").platform == ("dmi:Amazon EC2", "dmi:c7g.xlarge")


def test_big_and_little_cores_fastest_first() -> None:
    machine = machine_files.machine("gb10", gpus=(Gpu("cuda", "NVIDIA GB10", 12.1),))
    assert machine.cores == (Core("arm", 0xD85, 10, capacity=1024), Core("arm", 0xD87, 10, capacity=718))
    assert machine.models == (0xD85, 0xD87)
    assert (machine.logical_cores, machine.memory_gib) == (20, 128)
    assert Cache(2, "unified", 2 << 20, 1, 10) in machine.caches
    assert {"sve2", "bf16", "i8mm"} <= set(machine.instruction_sets)
    assert machine.name.startswith("arm64-arm-d85-d87-20c-128g-1gpu-")


@pytest.mark.parametrize(
    ("name", "label", "family", "l2", "bf16"),
    [
        ("apple-m1", "arm64-apple-m1-8c-16g-", 0x1B588BB3, 12 << 20, False),
        ("apple-m3-pro", "arm64-apple-m3-pro-12c-24g-", 0x5F4DEA93, 16 << 20, True),
    ],
)
def test_apple_silicon(name: str, label: str, family: int, l2: int, bf16: bool) -> None:
    machine = machine_files.machine(name)
    assert machine.system == "darwin"
    assert machine.name.startswith(label)
    assert machine.models == (family,)
    assert [core.kind for core in machine.cores] == ["performance", "efficiency"]
    assert [core.count for core in machine.cores] == [machine.logical_cores // 2] * 2
    assert machine.cache_bytes(2) == l2
    assert {"asimd", "asimddp", "asimdhp", "atomics"} <= set(machine.instruction_sets)
    assert ("bf16" in machine.instruction_sets) == bf16
    assert [gpu.kind for gpu in machine.gpus] == ["mps"]


def test_an_intel_mac() -> None:
    machine = machine_files.machine("intel-mac")
    assert machine.cores == (Core("intel", 142, 8, 6),)
    assert {"avx", "avx2", "fma", "sse4_2", "pni", "abm"} <= set(machine.instruction_sets)
    assert machine.caches[-1] == Cache(3, "unified", 6 << 20, 8, 1)
    assert machine.gpus == ()


def test_sysctl_without_its_lines_is_an_error() -> None:
    with pytest.raises(OSError, match=r"expected hw.memsize among its lines, found 'sysctl: unknown oid'"):
        macos.from_text("sysctl: unknown oid", "arm64")


def test_windows() -> None:
    values = {
        "ProcessorNameString": "AMD Ryzen 9 7950X  ",
        "Identifier": "AMD64 Family 25 Model 97 Stepping 2",
        "VendorIdentifier": "AuthenticAMD",
    }
    features = [6, 10, 13, 36, 37, 38, 39, 40, 41]
    machine = windows.from_values(values, "AMD64", features=features, counts=(16, 32), memory_bytes=33439514624)
    assert machine.cores == (Core("amd", 97, 32, 25),)
    assert (machine.system, machine.architecture, machine.brand, machine.memory_gib) == ("windows", "x86_64", "AMD Ryzen 9 7950X", 32)
    assert {"avx2", "fma", "avx512f"} <= set(machine.instruction_sets)
    assert machine.notes == ("cache sizes are not read on Windows",)


def test_windows_on_arm() -> None:
    values = {
        "ProcessorNameString": "Snapdragon(R) X Elite",
        "Identifier": "ARMv8 (64-bit) Family 8 Model 1 Revision 201",
        "VendorIdentifier": "Qualcomm Technologies Inc",
    }
    machine = windows.from_values(values, "ARM64", features=[19, 30, 43], counts=(12, 12), memory_bytes=16 * GIB)
    assert (machine.architecture, machine.vendor, machine.models) == ("arm64", "qualcomm", (1,))
    assert {"asimd", "asimddp"} <= set(machine.instruction_sets)


def test_a_windows_reader_elsewhere_says_so() -> None:
    if sys.platform == "win32":
        assert windows.machine().system == "windows"
    else:
        with pytest.raises(OSError, match="expected Windows, found"):
            windows.machine()


@pytest.mark.parametrize("name", machine_files.MACHINES)
def test_json_keeps_everything(name: str) -> None:
    machine = dataclasses.replace(machine_files.machine(name), gpus=(Gpu("cuda", "NVIDIA H200", 9.0, 192.0),), notes=("a note",))
    assert from_json(machine.to_json()) == machine
    assert from_json(machine.to_json()).identity == machine.identity


def test_every_machine_has_its_own_name() -> None:
    names = {machine_files.machine(name).name for name in machine_files.MACHINES}
    assert len(names) == len(machine_files.MACHINES)


def test_identity_ignores_what_a_reboot_or_an_optional_package_changes() -> None:
    files = machine_files.files("gb10")
    machine = machine_files.machine("gb10", gpus=(Gpu("cuda", "NVIDIA GB10", 12.1, 128.0),))
    changed = {
        path: text.replace("125513352", "125400000").replace("BogoMIPS\t: 2000.00", "BogoMIPS\t: 50.00")
        for path, text in files.items()
        if not path.endswith("cpu_capacity")
    }
    again = linux.from_text(
        lambda path: changed.get(path, ""),
        range(20),
        "aarch64",
        gpus=(Gpu("cuda", "NVIDIA GB10"),),
        notes=("nvidia-ml-py is not installed",),
    )
    assert again.name == machine.name


@pytest.mark.parametrize(
    "change", [{"logical_cores": 1}, {"memory_gib": 32.0}, {"brand": "x"}, {"gpus": (Gpu("cuda", "y"),)}, {"instruction_sets": ()}]
)
def test_identity_sees_other_hardware(change: dict) -> None:
    machine = machine_files.machine("amd-epyc-vm")
    assert dataclasses.replace(machine, **change).identity != machine.identity


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "machine.json: expected the JSON of a Machine"),
        ("{", "machine.json: .*JSONDecodeError"),
        ('{"cores": []}', "machine.json: .*KeyError"),
        (json.dumps({**json.loads(machine_files.machine("amd-epyc-vm").to_json()), "mhz": 3}), "machine.json: .*mhz"),
        (json.dumps({**json.loads(machine_files.machine("amd-epyc-vm").to_json()), "cores": []}), "machine.json: .*at least one core"),
    ],
)
def test_damaged_json_is_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(text, where="machine.json")


@pytest.mark.parametrize(
    ("gib", "expected"),
    [(23.54, 24), (24, 24), (3.7, 4), (7.87, 8), (15.2, 16), (18, 24), (119.7, 128), (0.44, 0.5), (188.6, 192), (1007, 1024)],
)
def test_memory_is_rounded_up_to_a_usual_size(gib: float, expected: float) -> None:
    assert memory_class(gib * GIB) == expected


def test_cpu_lists() -> None:
    assert linux.cpu_list("0-2,8,10-11\n") == {0, 1, 2, 8, 10, 11}
    assert linux.cpu_list("") == set()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/proc/self/cgroup": "0::/a/b", "/sys/fs/cgroup/a/b/cpu.max": "max 100000", "/sys/fs/cgroup/a/cpu.max": "150000 100000"}, 1.5),
        ({"/proc/self/cgroup": "0::/a/b", "/sys/fs/cgroup/a/b/cpu.max": "max 100000"}, None),
        ({"/proc/self/cgroup": "0::/docker/x", "/sys/fs/cgroup/cpu.max": "50000 100000"}, 0.5),
        (
            {
                "/proc/self/cgroup": "4:memory:/m\n3:cpu,cpuacct:/docker/x",
                "/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "400000",
                "/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000",
            },
            4.0,
        ),
        (
            {"/proc/self/cgroup": "1:cpu:/", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            None,
        ),
        ({}, None),
    ],
)
def test_cpu_quota(files: dict[str, str], expected: float | None) -> None:
    assert linux.cpu_quota(lambda path: files.get(path, "")) == expected


def test_memory_limits_of_both_versions_of_control_groups() -> None:
    meminfo = {"/proc/meminfo": "MemTotal: 1000 kB"}
    first = {**meminfo, "/proc/self/cgroup": "2:memory:/job", "/sys/fs/cgroup/memory/job/memory.limit_in_bytes": "4096"}
    unlimited = {**first, "/sys/fs/cgroup/memory/job/memory.limit_in_bytes": "9223372036854771712"}
    second = {**meminfo, "/proc/self/cgroup": "0::/job", "/sys/fs/cgroup/job/memory.max": "max", "/sys/fs/cgroup/memory.max": "8192"}
    sizes = [linux.memory_bytes(lambda path, f=files: f.get(path, "")) for files in (first, unlimited, second)]
    assert sizes == [4096, 1024000, 8192]


def test_no_processors_is_an_error() -> None:
    with pytest.raises(OSError, match="/proc/cpuinfo: expected at least one processor, found none"):
        linux.from_text(lambda path: "", {0}, "x86_64")


def test_nvidia_model_out_of_proc() -> None:
    assert nvidia.model_of("Model: \t\t NVIDIA H200\nIRQ:   \t\t 25\nGPU UUID: \t GPU-0\n") == "NVIDIA H200"
    assert nvidia.model_of("IRQ: 3") is None


def test_no_driver_is_no_gpu_and_no_note(tmp_path) -> None:
    if sys.platform != "linux" or (tmp_path.parent / "/dev/nvidiactl").exists():
        pytest.skip("a machine with NVIDIA's driver")
    assert nvidia.gpus(tmp_path / "none") == ((), ())


def test_a_gpu_that_nvml_cannot_ask_is_a_fact(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (tmp_path / "gpus" / "0000:01:00.0" / "information").write_text("Model: \t NVIDIA A100-SXM4-40GB\n")

    def refuse() -> None:
        raise RuntimeError("Driver/library version mismatch")

    monkeypatch.setitem(sys.modules, "pynvml", types.SimpleNamespace(nvmlInit=refuse, __spec__=object()))
    gpus, notes = nvidia.gpus(tmp_path)
    assert gpus == (Gpu("cuda", "NVIDIA A100-SXM4-40GB"),)
    assert notes == ("NVML: Driver/library version mismatch",)


def test_a_gpu_that_answers_only_some_questions(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NVMLError(Exception):
        pass

    def refuse(handle: int) -> None:
        raise NVMLError("Not Supported")

    nvml = types.SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda handle: b"NVIDIA GB10",
        nvmlDeviceGetCudaComputeCapability=lambda handle: (12, 1),
        nvmlDeviceGetMemoryInfo=refuse,
        __spec__=object(),
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert nvidia.gpus(tmp_path) == ((Gpu("cuda", "NVIDIA GB10", 12.1, None),), ())


def test_this_machine_is_read_once_fast_and_without_frameworks() -> None:
    code = """
import sys, time
import harness.machine as m
started = time.process_time()
first = m.this_machine()
spent = time.process_time() - started
assert m.this_machine() is first
assert spent < 0.5, spent
assert not {'torch', 'numpy', 'mlx', 'psutil'} & set(sys.modules)
print(first.name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == this_machine().name


def test_this_machine_makes_sense() -> None:
    machine = this_machine()
    assert isinstance(machine, Machine)
    assert 1 <= machine.physical_cores <= machine.logical_cores
    assert machine.memory_gib > 0
    assert machine.instruction_sets


def test_describe_names_what_matters() -> None:
    machine = dataclasses.replace(machine_files.machine("gb10"), gpus=(Gpu("cuda", "NVIDIA GB10", 12.1),), notes=("NVML: no",))
    lines = describe(machine, State(cpus=20, load_1=0.5, pressure_percent=42.0, governor="performance", boost=True))
    text = dict(lines)
    assert text["machine"] == machine.name
    assert "10 x part 0xd85, 10 x part 0xd87" in text["processor"]
    assert text["GPU"] == "NVIDIA GB10 (cuda, compute capability 12.1)"
    assert text["state"].startswith("CPU pressure 42 %")
    assert text["note"] == "NVML: no"
