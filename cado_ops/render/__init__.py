"""Reports, plans and progress, written for people (tables) and for machines (json, ndjson, csv).

``report`` chooses; ``machine`` and ``query`` know nothing of rich, so that a script does not wait for it.
"""
