"""What this version of the kernel is to do; the gate's self-test writes this file anew."""

EXTRA = {}
"""Share of its own sines that a case of so many times computes in addition; 0 where nothing is said."""

DEFECT = ""
"""Name of a function of `defects`, "" for none."""
