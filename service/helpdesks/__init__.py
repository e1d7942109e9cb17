"""Helpdesks: their webhooks come in, and decisions are written back, without fighting a person.

    helpdesks           all connections of a service, and what runs for them
    connections, kinds  the file of the connections
    adapter, adapters   what differs between helpdesks: signature, payload, calls; `signatures`, `payload`: their tools
    intake              event → decision on record, with what is to be written
    outbox, worker      what is to be written → calls
    manners             what may be done to a ticket
    feedback            what people chose for a ticket with a decision
    link, client        a connection at work, and its calls

Router and rendering come in as functions, so that these packages do not add to the depth of imports.
"""
