"""A plugin whose implementations cheat, crash, hang, print and leak: each proves that one check of the harness can fail."""
