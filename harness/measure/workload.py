"""What a case asks: its inputs by seed, and the work they mean. Made once here and sent to every worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from harness import audio
from harness.component import Component, Inputs, Outputs, Work
from harness.measure.process import WorkerFailed
from harness.record import Outcome

T = TypeVar("T")


class Workload:
    """A case of a component, or a user's audio in its place. WorkerFailed says what the component's own code raised."""

    def __init__(self, component: Component, case: str, song: Path | None = None) -> None:
        self._component, self._case, self._song = component, case, song
        self._made: dict[int, Inputs] = {}

    def inputs(self, seed: int, *, keep: bool = True) -> Inputs:
        """The inputs of a seed; kept for the next who asks."""
        if seed not in self._made:
            made = self._guard("making its inputs", lambda: self._make(seed))
            if not keep:
                return made
            self._made[seed] = made
        return self._made[seed]

    def forget(self) -> None:
        """Free the inputs; they can be made again."""
        self._made.clear()

    def work(self, seed: int) -> Work | None:
        """The least work of a call, where the component says it."""
        work = self._component.work
        return None if work is None else self._guard("its work model", lambda: work(self.inputs(seed)))

    def produced(self, seed: int, outputs: Outputs) -> float:
        """Units of work found in the outputs of a call."""
        return self._guard("counting what was produced", lambda: float(self._component.produced(self.inputs(seed), outputs)))

    def _make(self, seed: int) -> Inputs:
        if self._song is None:
            return self._component.case(self._case).make(seed)
        if self._component.from_audio is None:
            raise ValueError("takes no audio input")
        return self._component.from_audio(*audio.read(self._song))

    def _guard(self, doing: str, action: Callable[[], T]) -> T:
        try:
            return action()
        except Exception as error:
            message = f"component {self._component.name}, case {self._case}: {doing} raised {type(error).__name__}: {error}"
            raise WorkerFailed(Outcome("raised", message)) from error
