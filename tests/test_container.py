"""The Containerfile and the compose file: what they promise, and every RUN step executed in a fresh folder."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.lightweight import DETECT, VARIABLES

ROOT = Path(__file__).parent.parent
PLATFORMS = ["linux/amd64", "linux/arm64"]


def instructions():
    """(word, rest) of each line of the Containerfile."""
    text = re.sub(r"\\\n", " ", (ROOT / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def last_stage():
    found = instructions()
    return found[max(i for i, (word, _) in enumerate(found) if word == "FROM") :]


def test_nothing_runs_as_root_and_nothing_is_built_in_what_is_shipped():
    words = [word for word, _ in last_stage()]
    assert "RUN" not in words
    user = dict(last_stage())["USER"]
    assert all(int(number) > 0 for number in user.split(":"))
    assert words.index("USER") < words.index("ENTRYPOINT")


def test_a_base_image_is_named_in_full_with_its_version():
    for word, rest in instructions():
        if word == "FROM":
            assert re.match(r"docker\.io/library/python:3\.11-(slim-)?bookworm\b", rest)


def test_compose_passes_the_documents_settings_on_to_both_platforms():
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["harness"]
    assert set(service["environment"]) == {*VARIABLES, DETECT}
    assert all(value.startswith(f"${{{name}:-") for name, value in service["environment"].items())
    assert service["build"]["platforms"] == PLATFORMS
    assert service["build"]["dockerfile"] == "Containerfile"
    assert service["read_only"]


def test_the_workflow_builds_wheels_and_images_for_both_platforms():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "packaging.yml").read_text())["jobs"]
    assert [one["platform"] for one in jobs["image"]["strategy"]["matrix"]["include"]] == PLATFORMS
    assert {"ubuntu-latest", "ubuntu-24.04-arm"} <= set(jobs["wheels"]["strategy"]["matrix"]["runner"])


class Build:
    """Executes a Containerfile below a folder, each stage in a root of its own; only the base images are those of this machine."""

    def __init__(self, folder, context):
        self.folder, self.context, self.said = folder, context, {}
        self.stage, self.at, self.variables, self.root = "", Path("/"), {}, folder

    def place(self, path):
        return self.root / str(self.at / path).lstrip("/")

    def execute(self, word, rest):
        match word:
            case "FROM":
                self.stage = rest.partition(" AS ")[2] or "shipped"
                self.at, self.variables, self.root = Path("/"), {}, self.folder / self.stage
                self.root.mkdir()
            case "WORKDIR":
                self.at = self.at / rest
                self.place(".").mkdir(parents=True, exist_ok=True)
            case "ARG" | "ENV":
                self.variables |= dict(part.split("=", 1) for part in shlex.split(rest))
            case "COPY":
                options = dict(part[2:].split("=") for part in rest.split() if part.startswith("--"))
                source, target = (part for part in rest.split() if not part.startswith("--"))
                from_ = self.folder / options["from"] / source.lstrip("/") if "from" in options else self.context / source
                shutil.copytree(from_, self.place(target), symlinks=True)
            case "RUN":
                clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
                path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
                done = subprocess.run(
                    ["sh", "-ec", rest], cwd=self.place("."), env={**clean, "PATH": path, "HOME": str(self.root), **self.variables},
                    text=True, capture_output=True, check=False, timeout=1500,
                )  # fmt: skip
                assert done.returncode == 0, f"RUN {rest}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
                self.said[rest] = done.stdout


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_run_step_in_a_fresh_folder(tmp_path):
    context = tmp_path / "context"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(context)], check=True)
    build = Build(tmp_path / "image", context)
    build.folder.mkdir()
    for word, rest in instructions():
        build.execute(word, rest)
    assert set(build.said) == {rest for word, rest in instructions() if word == "RUN"}
    listed = build.said["venv/bin/harness list"]
    assert "features" in listed
    assert "native: not built" not in listed
    (entry,) = yaml.safe_load(dict(last_stage())["ENTRYPOINT"])
    assert (build.root / entry.lstrip("/")).is_file()
    assert (build.root / "data").is_dir()
