"""A plugin module that cannot be imported."""

raise RuntimeError("made to fail at import")
