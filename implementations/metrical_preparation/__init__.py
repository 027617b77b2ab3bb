"""The stage before the DBN: a network's probabilities become activations. The code is `implementations.dbn.preparation`."""
