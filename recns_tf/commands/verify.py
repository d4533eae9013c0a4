"""Check this program against results that others published.

NAME is an entry of data/published.csv; without one, all entries that take minutes are checked. Each
is trained with the settings of its source and measured on the test part. Writes table.md, table.csv
and curves.png to runs_dir/verify/, and exits with status 1 if a value differs by more than its
tolerance.
"""

from __future__ import annotations

from pathlib import Path

from recns_tf.commands.app import Call, Command
from recns_tf.experiments import claims, verification, verification_tables
from recns_tf.experiments.options import VerifySettings


def main(call: Call) -> None:
    """Run the command."""
    options = call.settings(VerifySettings)
    runs_dir = Path(options.runs_dir)
    # Everything is checked before the first run.
    entries = claims.read(claims.TABLE)
    checks = verification.plan(entries, call.words, options.epochs, options.seed)
    plan = verification.plan_text(checks, entries, runs_dir)
    print(plan)
    if options.dry_run:
        return
    folder = runs_dir / verification.FOLDER
    failures = verification.run(checks, options, folder)
    findings = verification.find(checks, runs_dir)
    print(verification_tables.write(findings, entries, runs_dir, options.seed))
    verification_tables.report(findings, failures, folder)


COMMAND = Command(
    about=__doc__ or "",
    words="[NAME…]",
    example="toy-rns",
    settings=(VerifySettings,),
    run=main,
    interrupted="the same command continues from here",
)
