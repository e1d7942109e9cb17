"""The contract between `training` and `service`: what a bundle is and how a ticket becomes a verdict.

Pure: nothing here touches the network, and the only files it reads or writes are a bundle's own.
"""
