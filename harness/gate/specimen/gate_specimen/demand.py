"""What this version of the kernel is to do; the gate's self-test writes this file anew."""

EXTRA = 0.0
"""Share of the kernel's own work that is done in addition."""

DEFECT = ""
"""Name of a function of `defects`, "" for none."""
