"""Who may call what: the declared matrix, the requests that put it to the test, and the pages that show it.

A new route needs a row in a table (`*.txt`) and, where its request needs more than the world's own places, a call in
the module of the same name. Then `python -m tests.architecture.authorisation` writes the pages in `docs/` again.
"""
