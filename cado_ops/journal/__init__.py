"""The journal: one append-only file a run, intent before act, outcome after, each line on disk before it counts.

A line is a JSON object that ends in its own SHA-256; the hash covers everything before it, and ``prev``, the hash
of the line before. So a single changed byte is found. It proves nothing against somebody who can rewrite the
whole file: for that, keep the last hash ("head") somewhere else.

Records, in order: ``run`` (who, where, what for), ``plan`` (the changes of one cell), ``failure`` (a target that
was not read), then for each call an ``intent`` before it and an ``outcome`` after it, and one more ``outcome``
where a second look at AWS says otherwise; last ``end``. A file without ``end`` is a run that was cut off; what has
an intent and no outcome is unknown. A ``resume`` goes on from there, with what was planned anew (``plan``) or
decided by reading (``outcome``), up to another ``end``; a line that a crash tore is kept in a ``recovered`` record.
"""

from cado_ops.journal.chain import JOURNAL_VERSION, seal, unseal
from cado_ops.journal.folder import find_run, read_own_runs, read_runs, run_files
from cado_ops.journal.private import check_private
from cado_ops.journal.record import RunRecord, begins_well, content_of, place_of, read_run
from cado_ops.journal.write import Journal, held, is_open, new_run_id

__all__ = [
    "JOURNAL_VERSION",
    "Journal",
    "RunRecord",
    "begins_well",
    "check_private",
    "content_of",
    "find_run",
    "held",
    "is_open",
    "new_run_id",
    "place_of",
    "read_own_runs",
    "read_run",
    "read_runs",
    "run_files",
    "seal",
    "unseal",
]
