"""Puts the parts together: from settings to a daemon that measures and publishes."""
