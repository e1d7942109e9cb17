"""The page that shows what becomes of a mail, step by step, without recording it.

`trial` runs the router's steps on one mail and keeps what each found; `page` takes the upload and shows it.
"""
