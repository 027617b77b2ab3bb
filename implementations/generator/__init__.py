"""Music tokens from text: HeartMuLa's two-level language model."""
