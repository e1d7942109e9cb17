"""Helpdesks: their webhooks come in, and decisions are written back, without fighting a person.

adapter, adapters   what differs between helpdesks: signature, payload, calls
types               events in, changes out
connections, kinds  the file of the connections
client              calls to one helpdesk
signatures, payload for adapters
"""
