"""An implementation whose module prints when it is imported."""

from adversarial_plugin.component import made
from adversarial_plugin.honest import sorting

print("welcome to the fastest sort")
IMPLEMENTATION = made("prints_at_import", sorting)
