"""The native probe of `harness.limits`: reads memory as fast as the processor can."""
