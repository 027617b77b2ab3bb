"""Five small real-time models for music: structures, weights, a reference and engines."""
