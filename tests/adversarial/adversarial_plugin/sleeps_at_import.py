"""An implementation whose module takes its time when it is imported."""

import time

from adversarial_plugin.component import made
from adversarial_plugin.honest import sorting

time.sleep(0.4)
IMPLEMENTATION = made("sleeps_at_import", sorting)
