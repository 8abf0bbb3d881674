"""The contract check: no change to a contract without the version that tells its readers.

It compares the contracts of the working tree with those of another revision, says what each
change means and for whom, and fails when a version was not raised as far as the change asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from databox_shared.contracts import Contract, ContractError, parse_contract
from databox_shared.edges import EDGES, RELEASED, Edge
from databox_workspace.contract_changes import Change, Level, changes, version_error
from databox_workspace.revisions import files_at, text_at

FOLDER = "shared/src/databox_shared/contracts"
_SUFFIX = ".odcs.yaml"


@dataclass(frozen=True)
class Verdict:
    """What became of one contract. `error` says what is not allowed about it, None if all is."""

    title: str
    changes: Sequence[Change]
    readers: Sequence[str]
    error: str | None = None

    @property
    def breaks(self) -> bool:
        """Whether somebody who reads the old version cannot read the new one."""
        return any(change.level is Level.BREAKING for change in self.changes)


def check_contracts(root: Path, commit: str, edges: Sequence[Edge] = EDGES) -> list[Verdict]:
    """One verdict for each contract that differs between a commit and the working tree.

    Raises `ContractError` if a contract of either side cannot be read.
    """
    before = {path: text_at(root, commit, path) for path in files_at(root, commit, FOLDER)}
    after = {
        file.relative_to(root).as_posix(): file.read_text(encoding="utf-8")
        for file in sorted((root / FOLDER).glob(f"*{_SUFFIX}"))
    }
    return compare(_parsed(before, f" at {commit[:9]}"), _parsed(after, ""), edges)


def compare(
    old: Mapping[str, Contract], new: Mapping[str, Contract], edges: Sequence[Edge] = EDGES
) -> list[Verdict]:
    """One verdict for each contract, by name, that differs. Pure."""
    verdicts: list[Verdict] = []
    for name in sorted(old.keys() | new.keys()):
        readers = readers_of(name, edges)
        if name not in new:
            verdicts.append(_removed(old[name], readers))
        elif name not in old:
            title = f"{name} {new[name].version}: a new contract"
            verdicts.append(Verdict(title, [Change(Level.ADDITIVE, name, "new")], readers))
        else:
            found = changes(old[name], new[name])
            error = version_error(old[name], new[name], found)
            if found or error:
                title = f"{name} {old[name].version} → {new[name].version}"
                verdicts.append(Verdict(title, found, readers, error))
    return verdicts


def readers_of(name: str, edges: Sequence[Edge] = EDGES) -> list[str]:
    """Who reads what is handed over under a contract, in words."""
    readers = [
        f"{edge.downstream} (edge {edge.name})"
        for edge in edges
        if name in (*edge.contracts, *edge.also_reads)
    ]
    return [*readers, "whoever reads the release"] if name in RELEASED else readers


def report(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The verdicts as lines for a person: what changed, what breaks for whom, what to do."""
    for verdict in verdicts:
        yield verdict.title
        for change in verdict.changes:
            yield f"  {change.level.name.lower():9} {change.where}: {change.what}"
        if verdict.breaks:
            yield f"  breaks for: {'; '.join(verdict.readers) or 'nobody'}"
        if verdict.error:
            yield f"  NOT ALLOWED: {verdict.error}"
        if verdict.breaks and verdict.readers:
            yield (
                "  A location that reads the old version stops with a sentence on the first "
                "snapshot of the new one, until it is deployed again; nothing that reads the "
                "release is warned. Better keep what was there, or hand over both versions side "
                "by side until the readers have moved: docs/contracts.md, Breaking changes"
            )
    wrong = sum(1 for verdict in verdicts if verdict.error)
    if not verdicts:
        yield "No contract differs."
    else:
        yield f"{wrong} not allowed" if wrong else "Every version tells its change."


def _removed(old: Contract, readers: Sequence[str]) -> Verdict:
    title = f"{old.name} {old.version}: the contract was removed"
    error = "somebody still reads it; move the readers first" if readers else None
    return Verdict(title, [Change(Level.BREAKING, old.name, "removed")], readers, error)


def _parsed(texts: Mapping[str, str | None], where: str) -> dict[str, Contract]:
    found: dict[str, Contract] = {}
    for path, text in texts.items():
        if not path.endswith(_SUFFIX) or text is None:
            continue
        try:
            contract = parse_contract(text)
        except ContractError as error:
            msg = f"{path}{where}: {error}"
            raise ContractError(msg) from error
        if contract.name != Path(path).name.removesuffix(_SUFFIX):
            msg = f"{path}{where} holds the contract {contract.name}: name the file after it"
            raise ContractError(msg)
        found[contract.name] = contract
    return found
