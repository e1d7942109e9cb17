"""The page of the switches of automation, and of what could not be written to helpdesks.

`queries` reads the history and the dead rows; `pages` shows them, sets switches through `admin`, and sends again.
"""
