"""Proves that an optimized audio-ML implementation computes the same, is faster, meets its budget, and stays so."""
