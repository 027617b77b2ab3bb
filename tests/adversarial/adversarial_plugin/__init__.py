"""A plugin whose implementations cheat, crash, hang, print and leak: each proves that one check of the harness can fail."""

import os

if _name := os.environ.get("ADVERSARIAL_WITHOUT"):
    from adversarial_plugin import without

    without.TAKEN_OUT[_name]()
