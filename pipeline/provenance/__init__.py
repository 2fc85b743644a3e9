"""What made what: a record beside every artefact, digests of code and content, and `explain`,
which follows records from a table's cell to the first data.
"""
