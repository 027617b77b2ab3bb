"""pytest door: registry entries as test items."""
