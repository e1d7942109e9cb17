"""Switches of automation: what a person has taken out of the router's hands, in force in every process within seconds.

`switches`: one switch, what it matches, and its table, with functions on a connection for use in any transaction;
`in_force`: those in force, in memory, and their effect on a verdict; `automation` reads and sets them;
`evidence`: that people undo more routes to a label than the bundle promises; `misroutes` looks at it, and sets the
switch that follows from it.
"""
