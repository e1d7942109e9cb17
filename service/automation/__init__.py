"""Switches of automation: what a person has taken out of the router's hands, in force in every process within seconds.

switches      a switch, what it matches, and its table; functions on a connection, for use in any transaction
automation    the switches in force, in memory, and their effect on a verdict
"""
