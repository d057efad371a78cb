"""Shapes made like an existing table: pure, from what ``monitor.source`` tells of it.

``likeness`` is the way in. Rows follow the column types and three statistics of the source's
columns, rounded, so that tomorrow's ANALYZE makes no other rows; its values are never known here.
"""
