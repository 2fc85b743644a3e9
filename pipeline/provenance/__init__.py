"""What made what: a record beside every artefact, digests of code and content, and `explain` from a
table's cell back to the first data.
"""
