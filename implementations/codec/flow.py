"""From codes to latents: residual codebooks, and an Euler solver that moves noise along the estimator's velocity."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from implementations.codec.configuration import LATENTS_PER_FRAME, Configuration
from implementations.codec.estimator import Estimator

SIGMA = 1e-6
"""What is left of the noise in the context at t = 1."""

Velocity = Callable[[Tensor, int], Tensor]
"""(latents (b, t, channels), number of the step from 0) -> where they have to move, of the same shape."""


class Codebook(nn.Module):
    embed: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("embed", torch.empty(1, size, dim))


class Quantizer(nn.Module):
    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self._codebook = Codebook(size, dim)

    def forward(self, codes: Tensor) -> Tensor:
        """(b, t, dim) of codes (b, t)."""
        return self._codebook.embed[0][codes]


class ResidualVQ(nn.Module):
    """The sum of one vector from each codebook, projected: codes (b, t, quantizers) -> (b, t, dim)."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        size, dim = configuration.codebook_size, configuration.codebook_dim
        self.layers = nn.ModuleList(Quantizer(size, dim) for _ in range(configuration.num_quantizers))
        self.project_out = nn.Linear(dim, configuration.dim)

    def forward(self, codes: Tensor) -> Tensor:
        vectors = torch.stack([layer(codes[..., number]) for number, layer in enumerate(self.layers)])
        out: Tensor = self.project_out(vectors.sum(dim=0))
        return out


class FlowMatching(nn.Module):
    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.vq_embed = ResidualVQ(configuration)
        self.cond_feature_emb = nn.Linear(configuration.dim, configuration.dim)
        self.estimator = Estimator(configuration)

    def condition(self, codes: Tensor) -> Tensor:
        """(b, latents, dim) of codes (b, frames, quantizers): each frame twice."""
        embedded: Tensor = self.cond_feature_emb(self.vq_embed(codes))
        return embedded.repeat_interleave(LATENTS_PER_FRAME, dim=1)

    def velocity(self, condition: Tensor, context: Tensor, steps: int, guidance: float) -> Velocity:
        """The guided velocity u + guidance (c - u) of a conditional and an unconditional row; up to 1 the conditional one alone.

        condition: (b, t, dim). context: (b, n, channels), the first n latents as they have to become.
        """
        times = schedule(steps)
        context = nn.functional.pad(context, (0, 0, 0, condition.shape[1] - context.shape[1]))
        rows = [torch.zeros_like(condition), condition] if guidance > 1 else [condition]
        constant = torch.cat([torch.cat([context, row], dim=-1) for row in rows])

        def velocity(x: Tensor, step: int) -> Tensor:
            found = self.estimator(torch.cat([x.repeat(len(rows), 1, 1), constant], dim=-1), times[step][0])
            return guide(found, guidance)

        return velocity


def guide(found: Tensor, guidance: float) -> Tensor:
    """The velocity (b, t, c) that the rows (2 b, t, c) = [unconditional, conditional] mean together."""
    if guidance <= 1:
        return found
    unconditional, conditional = found.chunk(2)
    return unconditional + guidance * (conditional - unconditional)


def schedule(steps: int) -> list[tuple[Tensor, Tensor]]:
    """(t, dt) of each step from 0 to 1, float32; the sums of dt are corrected as they go."""
    span = torch.linspace(0, 1, steps + 1)
    t, found = span[0], []
    for following in span[1:]:
        found.append((t, following - t))
        t = t + found[-1][1]
    return found


def solve(velocity: Velocity, noise: Tensor, context: Tensor, steps: int, trajectory: list[Tensor] | None = None) -> Tensor:
    """Latents (b, t, channels) at t = 1, of noise at t = 0; the first ones are the context (b, n, channels).

    trajectory: gets the latents that each step starts from.
    """
    known, x = context.shape[1], noise
    for step, (t, dt) in enumerate(schedule(steps)):
        mixed = (1 - (1 - SIGMA) * t) * noise[:, :known] + t * context
        x = torch.cat([mixed, x[:, known:]], dim=1)
        if trajectory is not None:
            trajectory.append(x)
        x = x + dt * velocity(x, step)
    return torch.cat([context, x[:, known:]], dim=1)
