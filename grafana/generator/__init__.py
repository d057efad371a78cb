"""Makes the dashboards in ``grafana/dashboards``: their one source. ``make dashboards`` runs it.

Classic dashboard JSON, which every Grafana from 10 on loads from a file, a ConfigMap or its import
page. A dashboard is a file here, top to bottom as it is seen; ``panels`` has the mould of each
kind of panel, ``dashboard`` variables, annotations, links and the layout, ``queries`` what several
of them ask.
"""
