"""The real-time proof: does an implementation's callback keep its deadlines on a real audio thread, and never block on it?

A native thread wakes at absolute times and calls the callback once per block; detectors watch each call and the result it used.
Each detector sees its own control first; an empty callback takes turns with the one that is judged, in the same session.
The doors take `session`; a worker imports `playing` alone.
"""
