"""The approval of the demo: the evidence in two lines, and a question to a person."""

from __future__ import annotations

from localcloud.cli.console import CommandError, client, out
from localcloud.cli.evidence import find_evidence
from localcloud.cli.terminal import read_line_while
from localcloud.cli.watch import WaitingApproval, put_approval, waiting_approvals


def answer(url: str, waiting: WaitingApproval, *, approve: bool) -> str | None:
    """Answer an approval; return `Approved`, `Rejected`, or None if somebody else answered it.

    Args:
        url: the local cloud's.
        waiting: the approval.
        approve: approve it without asking.

    Raises:
        CommandError: standard input ended without an answer.
    """
    document = find_evidence(url, waiting.execution).document or {}
    for line in document.get("verdicts", []):
        out.print(f"    {line}", markup=False, style="cyan")
    verdict: str | None = "Approved"
    if not approve:
        out.print(f"\n  [bold yellow]{waiting.stage}/{waiting.action} is pending.[/bold yellow]")
        verdict = _ask(url, waiting)
    codepipeline = client("codepipeline", url)
    if verdict is not None:
        by = "by the demo's --approve" if approve else "by a person, in the demo"
        try:
            put_approval(codepipeline, waiting, verdict, f"{verdict} {by}")
        except codepipeline.exceptions.ApprovalAlreadyCompletedException:
            verdict = None
    if verdict is None:
        out.print("\n  It was answered elsewhere, such as by `localcloud approve`.")
    return verdict


def _ask(url: str, waiting: WaitingApproval) -> str | None:
    codepipeline = client("codepipeline", url)

    def pending() -> bool:
        found = waiting_approvals(codepipeline, waiting.pipeline)
        return any(one.token == waiting.token for one in found)

    while True:
        out.print("  Deploy this model to production? \\[y/n] ", end="")
        line = read_line_while(pending)
        if line is None:
            return None
        if not line:
            raise CommandError("the approval got no answer: standard input has ended")
        given = line.strip().lower()
        if given in ("y", "yes", "approve"):
            return "Approved"
        if given in ("n", "no", "reject"):
            return "Rejected"
        out.print("  Answer y (approve) or n (reject).")
