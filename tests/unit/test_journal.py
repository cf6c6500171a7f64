"""The journal: on disk before it counts, for one user alone, and every changed byte is found."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.errors import LocalError, RefusedError, UsageError
from cado_ops.journal import (
    Journal,
    RunRecord,
    check_private,
    find_run,
    is_open,
    new_run_id,
    read_own_runs,
    read_run,
    read_runs,
    run_files,
    seal,
    unseal,
)
from cado_ops.journal.write import RESERVED_BYTES

RUN = "20261123T174501Z-7f3a9c"
PLACE = {"account": "1" * 12, "region": "eu-west-1"}
POSIX = pytest.mark.skipif(os.name != "posix", reason="modes and owners are POSIX's")


def result(outcome: str) -> dict[str, Any]:
    return {"outcome": outcome, "error": None, "warnings": [], "request_id": "r-1"}


def write_run(folder: Path, run_id: str = RUN, *, end: bool = True) -> Path:
    journal = Journal(folder, run_id)
    journal.write("run", format_version=1, run_id=run_id, command="tag-instances", case="IR-42")
    changes = [{"instance_id": "i-1", "name": "größe", **PLACE}, {"instance_id": "i-2", **PLACE}]
    journal.write("plan", **PLACE, changes=changes)
    journal.write("failure", failure={"account": "2" * 12, "stage": "observe"})
    journal.write("intent", **PLACE, call="CreateTags", tags={"a": "1"}, ids=["i-1", "i-2"])
    journal.write("outcome", **PLACE, results={"i-1": result("changed")})
    if end:
        journal.write("end", status="success", summary={})
    journal.close()
    return journal.path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs"


class TestRoundTrip:
    def test_everything_comes_back(self, folder: Path) -> None:
        run = read_run(write_run(folder))
        assert run.problems == []
        assert run.run_id == RUN
        assert (run.header["command"], run.header["case"]) == ("tag-instances", "IR-42")
        assert [change["instance_id"] for change in run.plan] == ["i-1", "i-2"]
        assert run.plan[0]["name"] == "größe"
        assert run.failures == [{"account": "2" * 12, "stage": "observe"}]
        assert run.end is not None
        assert run.end["status"] == "success"

    def test_an_intent_without_an_outcome_is_unknown(self, folder: Path) -> None:
        run = read_run(write_run(folder))
        assert run.results["1" * 12, "eu-west-1", "i-1"]["outcome"] == "changed"
        assert run.results["1" * 12, "eu-west-1", "i-2"]["outcome"] == "unknown"
        assert run.results["1" * 12, "eu-west-1", "i-2"]["warnings"]

    def test_the_last_outcome_counts_and_cells_are_kept_apart(self, folder: Path) -> None:
        journal = Journal(folder, RUN)
        other = {"account": "1" * 12, "region": "us-east-1"}
        for place in (PLACE, other):
            journal.write("intent", **place, call="CreateTags", tags={}, ids=["i-1"])
        journal.write("outcome", **PLACE, results={"i-1": result("changed")})
        journal.write("outcome", **PLACE, results={"i-1": result("drifted")})
        journal.close()
        results = read_run(journal.path).results
        assert results["1" * 12, "eu-west-1", "i-1"]["outcome"] == "drifted"
        assert results["1" * 12, "us-east-1", "i-1"]["outcome"] == "unknown"

    def test_a_second_intent_opens_the_outcome_again(self, folder: Path) -> None:
        journal = Journal(folder, RUN)
        journal.write("intent", **PLACE, call="CreateTags", tags={}, ids=["i-1"])
        journal.write("outcome", **PLACE, results={"i-1": result("changed")})
        journal.write("intent", **PLACE, call="DeleteTags", tags={}, ids=["i-1"])
        journal.close()
        assert read_run(journal.path).results["1" * 12, "eu-west-1", "i-1"]["outcome"] == "unknown"

    def test_a_run_that_was_cut_off_has_no_end(self, folder: Path) -> None:
        run = read_run(write_run(folder, end=False))
        assert (run.end, run.problems) == (None, [])

    def test_lines_are_numbered_and_chained(self, folder: Path) -> None:
        lines = [json.loads(line) for line in write_run(folder).read_bytes().splitlines()]
        assert [line["n"] for line in lines] == [1, 2, 3, 4, 5, 6]
        assert [line["prev"] for line in lines] == ["", *(line["hash"] for line in lines[:-1])]
        assert [line["record"] for line in lines] == ["run", "plan", "failure", "intent", "outcome", "end"]

    def test_the_hash_covers_all_that_is_before_it(self, folder: Path) -> None:
        for line in write_run(folder).read_bytes().splitlines():
            covered, _, rest = line.rpartition(b',"hash":"')
            assert hashlib.sha256(covered).hexdigest() == rest.decode().removesuffix('"}')

    def test_many_threads(self, folder: Path) -> None:
        journal = Journal(folder, RUN)

        def work(number: int) -> None:
            for _ in range(20):
                journal.write("failure", failure={"number": number})

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        journal.close()
        run = read_run(journal.path)
        assert (len(run.failures), run.problems) == (160, [])

    def test_the_head_is_the_last_hash(self, folder: Path) -> None:
        path = write_run(folder)
        assert read_run(path).head == json.loads(path.read_bytes().splitlines()[-1])["hash"]

    def test_an_unknown_version_is_refused(self, folder: Path) -> None:
        journal = Journal(folder, RUN)
        journal.write("run", format_version=2)
        journal.close()
        with pytest.raises(UsageError, match="format 2"):
            read_run(journal.path)

    def test_a_file_that_cannot_be_read(self, folder: Path) -> None:
        with pytest.raises(LocalError, match="cannot be read"):
            read_run(folder / "none.jsonl")


@pytest.fixture(scope="module")
def whole() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as name:
        yield write_run(Path(name) / "runs").read_bytes()


class TestTampering:
    def run_of(self, content: bytes) -> RunRecord:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / f"{RUN}.jsonl"
            path.write_bytes(content)
            return read_run(path)

    def reread(self, content: bytes) -> list[str]:
        return self.run_of(content).problems

    @given(data=st.data())
    def test_any_changed_byte_is_an_edit(self, whole: bytes, data: st.DataObject) -> None:
        """An edit, and no torn line: that would be believed."""
        at = data.draw(st.integers(0, len(whole) - 1))
        byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
        assert self.run_of(whole[:at] + bytes([byte]) + whole[at + 1 :]).edits

    def test_each_single_byte_counts(self, whole: bytes) -> None:
        for at, byte in enumerate(whole):
            run = self.run_of(whole[:at] + bytes([byte ^ 1]) + whole[at + 1 :])
            assert run.edits, f"byte {at}"
            assert not run.torn

    @pytest.mark.parametrize("end", [True, False], ids=["whole run", "cut-off run"])
    def test_the_last_newline_counts_too(self, folder: Path, end: bool) -> None:
        path = write_run(folder, end=end)
        whole = path.read_bytes()
        for byte in set(range(256)) - {ord("\n")}:
            path.write_bytes(whole[:-1] + bytes([byte]))
            run = read_run(path)
            assert run.edits == [f"line {6 if end else 5} was changed: its line end is not there"]
            assert run.torn == b""

    @pytest.mark.parametrize("more", [b"x", b'{"record":"end"', b"\r", b"\0\0\0"])
    def test_a_whole_record_with_more_after_it_was_never_written_so(self, whole: bytes, more: bytes) -> None:
        assert self.run_of(whole[:-1] + more).edits

    def test_a_record_that_lacks_just_its_newline_counts_for_nothing(self, whole: bytes) -> None:
        """Its writer was never told that it is on disk. It is told apart from one that is torn in the middle."""
        run = self.run_of(whole[:-1])
        assert (run.edits, run.torn, run.end, run.lines) == ([], whole.splitlines()[-1], None, 5)
        assert run.problems == ["line 6 lacks its line end alone: the run was cut off while it was written"]

    @pytest.mark.parametrize("inner", ['{"hash":"%s"}' % ("0" * 64), ',"hash":"%s"}' % ("a" * 64)])
    def test_what_looks_like_a_hash_inside_a_torn_line_ends_no_record(self, folder: Path, inner: str) -> None:
        journal = Journal(folder, RUN)
        journal.write("failure", failure={"a": 1, "nested": {"x": 1, "hash": "0" * 64}, "text": inner})
        journal.close()
        run = self.run_of(journal.path.read_bytes()[:-30])
        assert (run.edits, run.lines) == ([], 0)
        assert run.torn

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'"outcome":"changed"', b'"outcnme":"changed"'),
            (b'"outcome":"changed"', b'"outcome":[]'),
            (b'"warnings":[]', b'"warnings":1'),
            (b'"error":null', b'"error":"x"'),
            (b'"results":{"i-1":', b'"results":{"i-1":1,"i-3":'),
            (b'"account":"111111111111"', b'"account":[]'),
            (b'"changes":[', b'"changes":[7,'),
            (b'"summary":{}', b'"summary":[]'),
        ],
    )
    @pytest.mark.parametrize("sealed_anew", [False, True])
    def test_what_has_not_the_shape_of_a_record_is_not_taken(
        self, whole: bytes, old: bytes, new: bytes, sealed_anew: bool
    ) -> None:
        assert old in whole
        content = whole.replace(old, new)
        if sealed_anew:
            bodies = [json.loads(line) for line in content.splitlines()]
            content, head = b"", ""
            for body in bodies:
                line, head = seal({key: value for key, value in body.items() if key != "hash"} | {"prev": head})
                content += line
        run = self.run_of(content)
        assert run.edits
        for each in run.results.values():
            assert isinstance(each["outcome"], str)

    @given(data=st.data())
    def test_any_byte_more_or_less_is_found(self, whole: bytes, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(whole) - 1))
        more = data.draw(st.binary(max_size=3))
        changed = whole[:at] + more + whole[at + 1 :]
        if changed != whole:
            assert self.reread(changed)

    @pytest.mark.parametrize("number", range(5))
    def test_a_line_taken_out_is_found(self, whole: bytes, number: int) -> None:
        lines = whole.splitlines(keepends=True)
        assert self.reread(b"".join(lines[:number] + lines[number + 1 :]))

    @pytest.mark.parametrize("number", range(5))
    def test_two_lines_exchanged_are_found(self, whole: bytes, number: int) -> None:
        lines = whole.splitlines(keepends=True)
        lines[number], lines[number + 1] = lines[number + 1], lines[number]
        assert self.reread(b"".join(lines))

    def test_a_line_doubled_is_found(self, whole: bytes) -> None:
        lines = whole.splitlines(keepends=True)
        assert self.reread(b"".join([*lines, lines[-1]]))

    def test_one_changed_line_is_one_problem(self, whole: bytes) -> None:
        changed = whole.replace(b'"IR-42"', b'"IR-43"')
        [problem] = self.reread(changed)
        assert "line 1" in problem

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'"ids"', b'"idz"'),
            (b'"changes"', b'"chances"'),
            (b'"failure":{', b'"failurf":{'),
            (b'"results"', b'"resultz"'),
            (b'"results":{', b'"results":1,"x":{'),
            (b'"record":"plan"', b'"record":"plum"'),
            (b'"format_version":1', b'"format_version":2'),
        ],
    )
    def test_what_a_change_breaks_is_a_problem_and_no_crash(self, whole: bytes, old: bytes, new: bytes) -> None:
        assert old in whole
        assert any("was changed" in problem for problem in self.reread(whole.replace(old, new)))

    def test_another_runs_file_under_this_name_is_found(self, whole: bytes, tmp_path: Path) -> None:
        path = tmp_path / "20260101T000000Z-000000.jsonl"
        path.write_bytes(whole)
        assert read_run(path).edits == [f"the file has another name than its run, {RUN}"]

    def test_a_line_of_deep_nesting(self, whole: bytes) -> None:
        [problem, *_] = self.reread(whole + b'{"x":' + b"[" * 200_000 + b"\n")
        assert "was changed" in problem

    @given(st.integers(1, 400))
    def test_a_torn_last_line(self, whole: bytes, lost: int) -> None:
        last = whole.splitlines(keepends=True)[-1]
        lost = min(lost + 1, len(last) - 1)
        [problem] = self.reread(whole[:-lost])
        assert "torn" in problem
        assert "line 6" in problem

    def test_a_sealed_line_opens_only_after_its_own_predecessor(self) -> None:
        line, head = seal({"record": "end", "n": 2, "prev": "abc"})
        assert unseal(line[:-1], "abc")["hash"] == head
        with pytest.raises(ValueError, match="follow"):
            unseal(line[:-1], "abd")


@POSIX
class TestPrivacy:
    def test_file_and_folder_are_for_the_user_alone(self, folder: Path) -> None:
        old = os.umask(0)
        try:
            path = write_run(folder / "deep")
        finally:
            os.umask(old)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    @pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
    def test_a_folder_that_was_there_keeps_its_mode(self, folder: Path, mode: int) -> None:
        """It may be anybody's home; the files in it are private all the same."""
        folder.mkdir()
        folder.chmod(mode)
        path = write_run(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == mode
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
    def test_a_folder_that_others_may_write_to_is_refused(self, folder: Path, mode: int) -> None:
        folder.mkdir()
        folder.chmod(mode)
        with pytest.raises(LocalError, match="others may write") as caught:
            Journal(folder, RUN)
        assert "chmod 700" in (caught.value.hint or "")
        assert list(folder.iterdir()) == []

    def test_a_folder_of_another_user_is_refused(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir(mode=0o700)
        owner = folder.stat().st_uid
        monkeypatch.setattr(os, "getuid", lambda: owner + 1)
        with pytest.raises(LocalError, match="another user"):
            Journal(folder, RUN)

    def test_a_file_that_is_there_already_is_never_written_over(self, folder: Path) -> None:
        path = write_run(folder)
        content = path.read_bytes()
        with pytest.raises(LocalError):
            Journal(folder, RUN)
        assert path.read_bytes() == content

    def test_a_link_in_the_way_is_not_followed(self, folder: Path, tmp_path: Path) -> None:
        folder.mkdir(mode=0o700)
        target = tmp_path / "precious"
        target.write_text("precious")
        (folder / f"{RUN}.jsonl").symlink_to(target)
        with pytest.raises(LocalError):
            Journal(folder, RUN)
        assert target.read_text() == "precious"

    def test_what_is_private_may_be_acted_on(self, folder: Path) -> None:
        path = write_run(folder)
        check_private(path)
        folder.chmod(0o755)
        path.chmod(0o644)
        check_private(path)
        Journal.reopen(path)[0].close()

    @pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
    @pytest.mark.parametrize("of", ["file", "folder"])
    def test_what_others_may_write_to_is_not_acted_on(self, folder: Path, mode: int, of: str) -> None:
        path = write_run(folder, end=False)
        which = path if of == "file" else folder
        which.chmod(mode | (0o100 if of == "folder" else 0))
        before = path.read_bytes()
        for act in (check_private, Journal.reopen):
            with pytest.raises(RefusedError, match="others may write") as caught:
                act(path)
            assert f"chmod {'600' if of == 'file' else '700'} {which}" in (caught.value.hint or "")
        assert path.read_bytes() == before

    @pytest.mark.parametrize("of", ["file", "folder"])
    @pytest.mark.parametrize(("uid", "refused"), [(0, False), (4321, True)], ids=["root", "somebody"])
    def test_only_roots_and_ones_own_are_acted_on(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, of: str, uid: int, refused: bool
    ) -> None:
        path = write_run(folder)
        which = path if of == "file" else folder
        real = Path.stat

        def owned(self: Path, **more: Any) -> os.stat_result:
            status = real(self, **more)
            owner = uid if self == which else 1234
            return os.stat_result([*status[:4], owner, *status[5:10]])

        monkeypatch.setattr(Path, "stat", owned)
        monkeypatch.setattr(os, "getuid", lambda: 1234)
        if not refused:
            check_private(path)
            return
        with pytest.raises(RefusedError, match="another user"):
            check_private(path)

    def test_a_folder_that_is_a_file(self, folder: Path) -> None:
        folder.write_text("")
        with pytest.raises(LocalError, match="cannot be written"):
            Journal(folder, RUN)


def no_space(*_: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class SmallDisk:
    """A disk with ``free`` bytes left, for what goes through os.write, os.posix_fallocate and os.ftruncate.

    Like a kernel's, its last write is short. ``number`` is what it says when it is full. ``held`` is what stands in
    files without a name.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.free, self.number = 1 << 30, errno.ENOSPC
        self._write, self._truncate = os.write, os.ftruncate
        self._held: dict[int, int] = {}
        patch.setattr(os, "write", self.write)
        patch.setattr(os, "posix_fallocate", self.allocate, raising=False)
        patch.setattr(os, "ftruncate", self.truncate)

    @property
    def held(self) -> int:
        sizes = 0
        for fd, size in self._held.items():
            try:
                sizes += size if os.fstat(fd).st_nlink == 0 else 0
            except OSError:
                continue
        return sizes

    def full(self) -> OSError:
        return OSError(self.number, os.strerror(self.number))

    def write(self, fd: int, data: bytes) -> int:
        if not self.free:
            raise self.full()
        done = self._write(fd, data[: self.free])
        self.free -= done
        return done

    def allocate(self, fd: int, start: int, size: int) -> None:
        if size > self.free:
            raise self.full()
        self.free -= size
        self._truncate(fd, start + size)
        self._held[fd] = start + size

    def truncate(self, fd: int, size: int) -> None:
        self.free += os.fstat(fd).st_size - size
        self._truncate(fd, size)
        if fd in self._held:
            self._held[fd] = size


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SmallDisk:
    return SmallDisk(monkeypatch)


@POSIX
class TestDiskFull:
    @pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no way to ask for room beforehand")
    def test_found_before_the_first_change_and_no_empty_run_is_left(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "posix_fallocate", no_space)
        with pytest.raises(LocalError, match="No space left"):
            Journal(folder, RUN)
        assert run_files(folder) == []

    def test_the_room_is_in_proportion_to_the_plan_and_held_until_the_end(
        self, folder: Path, disk: SmallDisk
    ) -> None:
        journal = Journal(folder, RUN)
        first = disk.held
        assert first >= RESERVED_BYTES
        journal.write("plan", **PLACE, changes=[{"name": "x" * 500} for _ in range(2000)])
        journal.hold_room()
        assert disk.held - first >= 7 * journal.path.stat().st_size
        journal.write("intent", **PLACE, call="CreateTags", tags={}, ids=["i-1"])
        assert disk.held - first >= 7 * journal.path.stat().st_size
        journal.close()
        assert disk.held == 0
        assert [path.name for path in folder.iterdir()] == [f"{RUN}.jsonl"], "what holds room has no name"

    def test_no_room_in_proportion_to_the_plan_is_found_before_the_first_change(
        self, folder: Path, disk: SmallDisk
    ) -> None:
        disk.free = RESERVED_BYTES + 1000
        journal = Journal(folder, RUN)
        journal.write("run", format_version=1)
        with pytest.raises(LocalError, match="nothing is changed without one"):
            journal.hold_room()
        journal.discard()
        assert list(folder.iterdir()) == []

    def test_what_follows_an_intent_is_written_though_others_fill_the_disk(
        self, folder: Path, disk: SmallDisk
    ) -> None:
        journal = Journal(folder, RUN)
        journal.write("run", format_version=1)
        journal.write("intent", **PLACE, call="CreateTags", tags={}, ids=["i-1"])
        journal.hold_room()
        for _ in range(20):
            disk.free = 0  # somebody takes all that is given back
            journal.write("outcome", **PLACE, results={"i-1": result("changed") | {"warnings": ["x" * 10_000]}})
        journal.write("end", status="success")
        journal.close()
        run = read_run(journal.path)
        assert (run.problems, run.lines) == ([], 23)

    def test_a_line_longer_than_a_piece_takes_as_much_as_it_needs(self, folder: Path, disk: SmallDisk) -> None:
        journal = Journal(folder, RUN)
        disk.free = 0
        journal.write("outcome", **PLACE, results={"i-1": result("changed") | {"warnings": ["x" * 500_000]}})
        journal.close()
        assert read_run(journal.path).problems == []

    def test_once_an_intent_is_there_changes_may_have_been_made(self, folder: Path, disk: SmallDisk) -> None:
        journal = Journal(folder, RUN)
        journal.write("run", format_version=1)
        journal.write("intent", **PLACE, call="CreateTags", tags={}, ids=["i-1"])
        disk.free = 0
        with pytest.raises(LocalError, match="changes may have been made") as caught:
            journal.write("intent", **PLACE, call="CreateTags", tags={}, ids=["i" * (RESERVED_BYTES + 1)])
        assert f"cado-ops runs resume {RUN}" in (caught.value.hint or "")
        disk.free = 10_000
        with pytest.raises(LocalError):
            journal.write("intent", **PLACE, call="CreateTags", tags={}, ids=["i-2"])
        journal.write("outcome", **PLACE, results={"i-1": result("changed")})
        journal.discard()
        run = read_run(journal.path)
        assert run.problems == []
        assert [(key[2], each["outcome"]) for key, each in run.results.items()] == [("i-1", "changed")]

    @pytest.mark.parametrize("begun", [False, True])
    def test_no_room_to_go_on_with_a_run(self, folder: Path, disk: SmallDisk, begun: bool) -> None:
        path = write_run(folder, end=False)
        if not begun:
            path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
        content = path.read_bytes()
        disk.free = 0
        journal, _ = Journal.reopen(path)
        with pytest.raises(LocalError) as caught:
            journal.hold_room()
        journal.close()
        assert ("changes may have been made" in caught.value.message) is begun
        assert f"cado-ops runs resume {RUN}" in (caught.value.hint or "")
        assert path.read_bytes() == content

    def test_a_full_quota_is_a_full_disk(self, folder: Path, disk: SmallDisk) -> None:
        disk.number = errno.EDQUOT
        journal = Journal(folder, RUN)
        disk.free = 0
        journal.write("run", format_version=1)
        journal.close()
        assert read_run(journal.path).lines == 1

    def test_a_fault_that_is_no_lack_of_room_takes_none(self, folder: Path, disk: SmallDisk) -> None:
        journal = Journal(folder, RUN)
        disk.free, disk.number, held = 0, errno.EIO, disk.held
        with pytest.raises(LocalError):
            journal.write("run", format_version=1)
        assert disk.held == held
        journal.close()

    @pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no way to ask for room beforehand")
    @pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
    def test_a_file_system_that_cannot_reserve_is_no_full_disk(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        def cannot(*_: Any) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "posix_fallocate", cannot)
        written: list[int] = []
        real = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: (written.append(len(data)), real(fd, data))[1])
        assert read_run(write_run(folder)).problems == []
        assert max(written) == RESERVED_BYTES, "then the room is written to"

    @pytest.mark.parametrize("call", ["write", "fsync"])
    def test_a_record_that_is_not_on_disk_is_an_error(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        journal = Journal(folder, RUN)
        with monkeypatch.context() as patch:
            patch.setattr(os, call, no_space)
            with pytest.raises(LocalError, match="No space left") as caught:
                journal.write("run")
        assert caught.value.hint
        journal.close()

    def test_what_is_written_after_a_torn_record_is_whole(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The disk had room for half a record; the outcomes of what was in flight still come through."""
        journal = Journal(folder, RUN)
        journal.write("run", format_version=1)
        real = os.write

        def half(fd: int, data: bytes) -> int:
            if len(data) < 20:
                no_space()
            return real(fd, data[: len(data) // 2])

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", half)
            with pytest.raises(LocalError):
                journal.write("intent", **PLACE, call="CreateTags", tags={}, ids=["i-1"])
        journal.write("end", status="error")
        journal.close()
        run = read_run(journal.path)
        assert run.problems == []
        assert run.end is not None
        assert run.results == {}

    def test_short_writes_are_carried_on(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
        assert read_run(write_run(folder)).problems == []


def test_a_record_is_on_disk_when_write_returns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    journal = Journal(folder, RUN)
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    journal.write("run", format_version=1)
    assert synced == [journal.path.stat().st_size]
    journal.close()


def test_what_is_written_at_once_is_on_disk_at_its_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    journal = Journal(folder, RUN)
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    with journal.at_once():
        journal.write("run", format_version=1)
        journal.write("plan", **PLACE, changes=[])
        assert synced == []
    assert synced == [journal.path.stat().st_size]
    journal.write("end", status="success")
    assert synced[1:] == [journal.path.stat().st_size], "afterwards each is waited for again"
    journal.close()


def test_what_is_written_at_once_and_is_not_on_disk_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(folder, RUN)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(LocalError, match="No space left"), journal.at_once():
            journal.write("run", format_version=1)
    with pytest.raises(LocalError):
        journal.write("intent", **PLACE, call="CreateTags", tags={}, ids=["i-1"])
    journal.close()


def test_after_closing_nothing_is_written_anywhere(folder: Path, tmp_path: Path) -> None:
    """The number of the closed file may be another file's by now."""
    journal = Journal(folder, RUN)
    journal.write("run", format_version=1)
    journal.close()
    with (tmp_path / "other").open("wb") as other:
        with pytest.raises(LocalError):
            journal.write("end")
        other.flush()
    assert (tmp_path / "other").read_bytes() == b""
    journal.close()


class TestGoingOn:
    """A run that was cut off, opened again by `resume`."""

    def test_it_goes_on_where_it_was_cut_off(self, folder: Path) -> None:
        path = write_run(folder, end=False)
        journal, run = Journal.reopen(path)
        assert (journal.run_id, run.run_id, run.end) == (RUN, RUN, None)
        journal.write("resume", caller={})
        journal.write("outcome", **PLACE, results={"i-2": result("changed")})
        journal.write("end", status="success")
        journal.close()
        after = read_run(path)
        assert after.problems == []
        assert len(after.resumes) == 1
        assert after.end is not None
        assert after.results["1" * 12, "eu-west-1", "i-2"]["outcome"] == "changed"

    def test_what_was_open_when_it_was_cut_off_may_have_been_made(self, folder: Path) -> None:
        path = write_run(folder, end=False)
        journal, _ = Journal.reopen(path)
        journal.write("resume", caller={})
        journal.write("outcome", **PLACE, results={"i-2": result("drifted"), "i-9": result("drifted")})
        journal.close()
        run = read_run(path)
        assert {key[2] for key in run.touched} == {"i-1", "i-2"}
        assert run.results["1" * 12, "eu-west-1", "i-2"]["outcome"] == "drifted"

    def test_a_plan_made_anew_takes_the_place_of_the_old_one(self, folder: Path) -> None:
        path = write_run(folder, end=False)
        journal, _ = Journal.reopen(path)
        journal.write("resume", caller={})
        journal.write("plan", **PLACE, changes=[{"instance_id": "i-2", "name": "anew", **PLACE}])
        journal.close()
        places = [(line["instance_id"], line.get("name")) for line in read_run(path).plan]
        assert places == [("i-1", "größe"), ("i-2", "anew")]

    def test_nothing_is_written_by_opening_alone(self, folder: Path) -> None:
        path = write_run(folder, end=False)
        path.write_bytes(path.read_bytes()[:-9])
        before = path.read_bytes()
        journal, run = Journal.reopen(path)
        assert run.torn
        journal.close()
        assert path.read_bytes() == before

    def test_what_has_an_end_has_none_while_it_is_resumed(self, folder: Path) -> None:
        path = write_run(folder)
        journal, run = Journal.reopen(path)
        assert run.end is not None
        journal.write("resume", caller={})
        journal.close()
        assert read_run(path).end is None

    @given(st.integers(1, 60))
    def test_a_torn_line_is_kept_apart_and_the_rest_is_whole(self, lost: int) -> None:
        with tempfile.TemporaryDirectory() as name:
            path = write_run(Path(name) / "runs", end=False)
            content = path.read_bytes()
            path.write_bytes(content[:-lost])
            torn = content[:-lost].rpartition(b"\n")[2]
            journal, run = Journal.reopen(path)
            assert run.torn == torn
            journal.write("resume", caller={})
            journal.close()
            after = read_run(path)
            assert after.problems == []
            [kept] = [line for line in map(json.loads, path.read_bytes().splitlines()) if "torn" in line]
            assert kept["torn"].encode("latin-1") == torn
            # The torn line was the outcome: what it would have said is not known.
            assert after.results["1" * 12, "eu-west-1", "i-1"]["outcome"] == "unknown"

    @pytest.mark.parametrize(("old", "new"), [(b'"IR-42"', b'"IR-43"'), (b'"i-2"', b'"i-3"')])
    def test_nothing_is_built_on_a_changed_journal(self, folder: Path, old: bytes, new: bytes) -> None:
        path = write_run(folder, end=False)
        path.write_bytes(path.read_bytes().replace(old, new))
        before = path.read_bytes()
        with pytest.raises(RefusedError):
            Journal.reopen(path)
        assert path.read_bytes() == before

    @POSIX
    def test_a_run_at_work_is_not_opened_twice(self, folder: Path) -> None:
        first = Journal(folder, RUN)
        first.write("run", format_version=1)
        assert is_open(first.path)
        with pytest.raises(RefusedError, match="at work"):
            Journal.reopen(first.path)
        first.close()
        assert not is_open(first.path)
        second, _ = Journal.reopen(first.path)
        with pytest.raises(RefusedError, match="at work"):
            Journal.reopen(first.path)
        second.close()

    def test_a_run_that_is_not_there(self, folder: Path) -> None:
        with pytest.raises(LocalError):
            Journal.reopen(folder / "none.jsonl")


class TestLookup:
    # The last two are of one second: the order of writing decides, not that of the letters.
    IDS = ("20261122T080000Z-aaaaaa", "20261123T174501Z-7f3b00", "20261123T174501Z-7f3a9c")
    WRITTEN = (9_000_000_000, 1_000_000_000, 1_000_000_001)

    @pytest.fixture
    def runs(self, folder: Path) -> Path:
        for run_id, written in zip(self.IDS, self.WRITTEN, strict=True):
            os.utime(write_run(folder, run_id), ns=(written, written))
        (folder / "notes.txt").write_text("no run")
        return folder

    def test_files_are_listed_oldest_first(self, runs: Path) -> None:
        assert [path.name.removesuffix(".jsonl") for path in run_files(runs)] == list(self.IDS)

    def test_one_that_cannot_be_read_costs_none_of_the_others(self, runs: Path) -> None:
        newer = Journal(runs, "20261122T090000Z-bbbbbb")
        newer.write("run", format_version=2)
        newer.close()
        told: list[str] = []
        found = list(read_runs(runs, lambda path, error: told.append(f"{path.name}: {error.message}")))
        assert [run.run_id for run in found] == list(self.IDS)
        [said] = told
        assert "bbbbbb" in said
        assert "format 2" in said

    def test_what_others_may_have_written_is_left_out(self, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first, second, third = run_files(runs)
        first.chmod(0o622)
        monkeypatch.setattr("cado_ops.journal.folder.run_files", lambda folder: [first, second, third])
        third.unlink()  # by somebody else, meanwhile
        told: list[str] = []
        found = list(read_own_runs(runs, lambda path, error: told.append(f"{path.name}: {error.message}")))
        assert [run.path for run in found] == [second]
        assert [first.name in told[0], "others may write" in told[0], third.name in told[1]] == [True] * 3

    def test_a_folder_that_others_may_write_to_tells_nothing(self, runs: Path) -> None:
        runs.chmod(0o722)
        with pytest.raises(RefusedError, match="others may write"):
            list(read_own_runs(runs, lambda path, error: None))
        assert list(read_own_runs(runs / "none", lambda path, error: None)) == []

    @pytest.mark.parametrize(
        ("name", "index"),
        [("last", 2), ("20261122", 0), ("20261123T174501Z-7f3a", 2), (IDS[1], 1), (IDS[2], 2)],
    )
    def test_found(self, runs: Path, name: str, index: int) -> None:
        assert read_run(find_run(runs, name)).run_id == self.IDS[index]

    @pytest.mark.parametrize(
        ("name", "message"),
        [("20261123", "2 runs begin with"), ("2027", "there is no run"), ("notes", "there is no run")],
    )
    def test_not_found(self, runs: Path, name: str, message: str) -> None:
        with pytest.raises(UsageError, match=message) as caught:
            find_run(runs, name)
        assert "runs list" in (caught.value.hint or "")

    def test_an_exact_id_wins_over_longer_ones(self, folder: Path) -> None:
        for run_id in ("20261123T174501Z-7f3a9c", "20261123T174501Z-7f3a9c0"):
            write_run(folder, run_id)
        assert read_run(find_run(folder, RUN)).run_id == RUN

    @pytest.mark.parametrize("name", ["last", "2026", "../secret"])
    def test_no_folder(self, folder: Path, name: str) -> None:
        assert run_files(folder) == []
        with pytest.raises(UsageError, match="there is no run"):
            find_run(folder, name)

    @pytest.mark.parametrize("name", ["../outside", "/etc/passwd", ""])
    def test_a_name_never_leads_out_of_the_folder(self, runs: Path, name: str) -> None:
        with pytest.raises(UsageError):
            find_run(runs, name)


def test_run_ids_sort_by_time() -> None:
    moment = datetime(2026, 11, 23, 17, 45, 1, tzinfo=UTC)
    assert new_run_id(moment, lambda: "7f3a9c") == RUN
    assert new_run_id(moment, lambda: "ffffff") < new_run_id(moment.replace(second=2), lambda: "000000")


class TestBounds:
    def test_a_file_that_is_too_large_is_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cado_ops.journal.record.MAX_JOURNAL", 100)
        path = tmp_path / "20261123T174501Z-7f3a9c.jsonl"
        path.write_bytes(b"x" * 101)
        with pytest.raises(LocalError, match="no journal"):
            read_run(path)

    def test_a_file_of_lines_that_are_none_is_not_read_to_its_end(self, tmp_path: Path) -> None:
        path = tmp_path / "20261123T174501Z-7f3a9c.jsonl"
        path.write_bytes(b"\n" * 1_000_000)
        run = read_run(path)
        assert len(run.edits) < 2000
        assert any("was not read" in each for each in run.edits)

    @pytest.mark.parametrize("line", [b'{"record":' * 100_000, b"[" * 1_000_000, b'"' * 1_000_000])
    def test_a_line_however_deep_is_an_edit(self, tmp_path: Path, line: bytes) -> None:
        path = tmp_path / "20261123T174501Z-7f3a9c.jsonl"
        path.write_bytes(line + b"\n")
        assert read_run(path).edits
