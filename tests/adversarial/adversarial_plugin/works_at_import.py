"""An implementation whose module computes when it is imported."""

import time

from adversarial_plugin.component import made
from adversarial_plugin.honest import sorting

_end = time.process_time() + 0.1
while time.process_time() < _end:
    pass
IMPLEMENTATION = made("works_at_import", sorting)
