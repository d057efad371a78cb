"""Draws the dashboards' data without Grafana: ``python -m tests.pictures DIRECTORY``.

No Grafana server can be had where this is developed. So the panels are drawn here, as near to what
Grafana makes of them as is useful, from what a real Prometheus answers to their queries on the
made-up story of ``tests.acceptance.synthetic``; chromium makes the pictures. For the README, and to
look at what a user would see.
"""
