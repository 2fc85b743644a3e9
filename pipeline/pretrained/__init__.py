"""Published files: downloaded with checksums, and read without running anything in them."""
