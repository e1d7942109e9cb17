"""Closed tickets that are like one at hand, a summary of a long text, and a draft of an answer.

closed     the table of closed tickets: added from an index file or from feedback, and read
nearest    the nearest of them, exactly: one product of a matrix with a vector
similar    `Similar`: keeps table and matrix up to date in the background, and answers the desk
vectors    pooled vectors of texts, one batch at a time beside the callers' tickets
summary    the sentences that say most
generator  writes a text with a local ONNX model, where one is plugged in
"""
