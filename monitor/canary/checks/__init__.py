"""What ``ingest-canary doctor`` asks of a target before it is trusted.

``gather`` and ``looks`` look, read-only, and turn what they see into frozen facts; a file per
family holds the checks, pure functions from facts to findings; ``diagnosis`` puts them in order.
"""
