"""From series to verdicts: whether inserts got slower, since when, where and why.

Pure throughout: no I/O, no clock, nothing but the standard library and our own types. A state and
an observation give a new state and a verdict; states survive a restart as plain JSON.
"""
