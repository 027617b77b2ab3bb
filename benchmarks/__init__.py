"""asv's benchmarks: `asv run`, `asv show`, `asv publish` work on this repository (README, "History and dashboards")."""
