"""`waystation doctor`: the words, the output, the exit status."""

import json
import os
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.status import Status
from rich.text import Text

from admin.channel.errors import ChannelError
from admin.channel.roster import list_nodes, place_of_nodes
from ops.doctor.examination import examine, status
from ops.doctor.finding import Finding, Verdict
from ops.doctor.patient import Patient
from ops.failures import told

_MARKS: Final = MappingProxyType(
    {
        Verdict.SKIPPED: ("-", "dim"),
        Verdict.GOOD: ("ok", "green"),
        Verdict.WARNING: ("!", "yellow"),
        Verdict.BAD: ("BAD", "bold red"),
    }
)
_ENDS: Final = ("nothing to do", "something to look at", "something is wrong")


def doctor(
    *,
    config: Annotated[Path | None, Parameter(help="Configuration file (TOML), as for run.")] = None,
    data: Annotated[Path | None, Parameter(help="Data directory, instead of the file's node.data.")] = None,
    verify: Annotated[
        float,
        Parameter(
            help="Seconds in which records of a stopped node are read back. 0: none.", validator=Number(gte=0)
        ),
    ] = 5.0,
    nodes: Annotated[
        str | None, Parameter(help="A list of nodes (see admin) whose clocks are compared with this one.")
    ] = None,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """Look at a node's configuration, keys, certificate, limits, clock, disk, tables and peers, and say what to do.

    The node may run or not; nothing is changed.
    """
    with told(ChannelError, OSError):
        others = list_nodes(place_of_nodes(nodes, os.environ)) if nodes else ()
        patient = Patient.find(config, data, others=others, verify_s=verify)
        out, err = Console(highlight=False, markup=False, emoji=False), Console(stderr=True)
        findings: list[Finding] = []
        with Status("", console=out if out.is_terminal and not as_json else err) as progress:
            if not progress.console.is_terminal:
                progress.stop()
            for finding in examine(patient, lambda what: progress.update(f"looking at {what}")):
                findings.append(finding)
                if not as_json:
                    _show(finding, out)
    ended = status(findings)
    if as_json:
        report = {"data": str(patient.data), "status": ended, "findings": [one.plain() for one in findings]}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        out.print(Text(f"{_ENDS[ended]}", style=_MARKS[Verdict(ended)][1]))
    sys.exit(ended)


def _show(finding: Finding, out: Console) -> None:
    mark, style = _MARKS[finding.verdict]
    line = Text(f"{mark:>3} ", style=style)
    line.append(f"{finding.about}: {finding.text}", style="dim" if finding.verdict is Verdict.SKIPPED else "")
    out.print(line, soft_wrap=True)
    if finding.remedy:
        out.print(Text(f"      → {finding.remedy}"), soft_wrap=True)
