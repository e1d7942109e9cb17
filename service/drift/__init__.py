"""Whether mail is still what the bundle was measured on: sliding windows compared with its reference."""
