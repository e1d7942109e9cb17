"""The pages on how good the routing is, and on what another promise would give.

`queries` counts on the record; `figures` turns counts into shares with intervals; `plots` draws; `promise` moves the
target; `table_csv` writes downloads; `pages` answers requests.
"""
