"""The stage that finds section boundaries. The code is `implementations.dbn.boundaries`."""
