"""What others have published: brought with checksums, read with nothing in them run."""
