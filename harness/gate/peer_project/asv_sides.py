"""A plugin of asv: its environment for a commit is the side that the gate has built of that commit, so that both time the same files."""

import json
import os
from pathlib import Path

from asv.environment import Environment

SIDES = Path(__file__).parent / "sides.json"
"""{commit: [interpreter, PYTHONPATH]}."""


class Sides(Environment):
    tool_name = "sides"

    def __init__(self, conf, python, requirements, tagged_env_vars):
        # asv names the environment by these before it sets them.
        self._python, self._requirements, self._tagged_env_vars = python, requirements, tagged_env_vars
        super().__init__(conf, python, requirements, tagged_env_vars)

    def _setup(self):
        Path(self._path).mkdir(parents=True, exist_ok=True)

    def checkout_project(self, repo, commit_hash):
        self._set_commit_hash(commit_hash)

    def run(self, args, **kwargs):
        python, path = json.loads(SIDES.read_text())[self._global_env_vars["ASV_COMMIT"]]
        kwargs["env"] = {**(kwargs.get("env") or os.environ), "ASV_PYTHONPATH": path}
        return self.run_executable(python, args, **kwargs)
