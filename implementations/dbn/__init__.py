"""Downbeat tracking with a dynamic Bayesian network.

`DBNDownBeatTrackingProcessor` is madmom's class of this name; `combine_activations` prepares what it decodes.
`boundary_strength` and `section_times` find where sections begin. All but the first take NumPy, torch and MLX arrays.
"""

from implementations.dbn.boundaries import boundary_strength, section_times
from implementations.dbn.preparation import combine_activations
from implementations.dbn.processor import DBNDownBeatTrackingProcessor

__all__ = ["DBNDownBeatTrackingProcessor", "boundary_strength", "combine_activations", "section_times"]
