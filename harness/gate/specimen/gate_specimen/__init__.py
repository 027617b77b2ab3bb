"""What the gate tests itself on: a kernel of known cost, with a slow-down or a defect on demand."""
