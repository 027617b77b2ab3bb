"""Downbeat tracking with a dynamic Bayesian network.

`DBNDownBeatTrackingProcessor` is madmom's class of this name; `combine_activations` prepares what it decodes.
"""

from implementations.dbn.processor import DBNDownBeatTrackingProcessor
from implementations.dbn.reference import combine_activations

__all__ = ["DBNDownBeatTrackingProcessor", "combine_activations"]
