"""Their honest twin: a module that does nothing when it is imported."""

from adversarial_plugin.component import made
from adversarial_plugin.honest import sorting

IMPLEMENTATION = made("quiet_at_import", sorting)
