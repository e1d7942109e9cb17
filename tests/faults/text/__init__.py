"""Text: hostile mails, texts and HTML as input, and hostile text in what is printed or rendered."""
