"""The configuration: sections and their meaning, files → one checked `Config`, plug-ins by file
name, the package's source read without importing it. No torch.
"""
