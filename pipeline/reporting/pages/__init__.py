"""Pages for people: tables and lists as HTML."""
