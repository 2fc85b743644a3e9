"""Artefacts on disk: HDF5 files with checksums, written whole or not at all, resumed, sharded,
prefetched. This package knows bytes, not what they mean.
"""
