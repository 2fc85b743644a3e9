"""Artefacts on disk: HDF5 files that check themselves, written whole or not at all, resumed,
sharded, prefetched. Knows bytes, not what they mean.
"""
