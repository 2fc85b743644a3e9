"""The configuration: its sections and their meaning, from files to one checked `Config`; plug-ins
found by file name; the package's source, read without importing it. No torch.
"""
