"""Build a dataset's regions, and show what they hold: ./run.sh regions DATASET [--khop=… …].

Prints the region that the flags ask for, then, for every khop, how much of the catalogue the
intermediate region holds and how many valid and test positives lie inside. The same goes into
data/DATASET/regions.json, beside regions.png. Training finds the region it needs in the cache.
"""

from __future__ import annotations

from pathlib import Path

from recns_tf import command_line, datasets, options
from recns_tf.config import Config, Workspace
from recns_tf.files import write_json

KHOPS = (3, 5, 7)


def main(words: list[str]) -> None:
    """Run the command line whose positional words are `words`."""
    command_line.require_words(words, ("DATASET",), "./run.sh regions ml-100k")
    workspace = options.from_flags(Workspace)
    datasets.require(words[0], workspace.data_dir)
    settings = options.from_flags(Config, dataset=words[0])
    interactions = datasets.load(settings, workspace.data_dir)
    with command_line.silenced_stderr():
        from recns_tf.evidence import weigh
        from recns_tf.plots import plot_evidence
        from recns_tf.regions import build_region
    print(interactions.summary())
    folder = Path(workspace.data_dir) / words[0]
    region = build_region(
        interactions.train,
        "intermediate" if settings.region == "auto" else settings.region,
        settings.khop,
        settings.region_reading,
        memory=settings.region_memory,
        cache=folder,
    )
    print(region.summary(settings.num_candidates))
    evidence = weigh(interactions, tuple(sorted({*KHOPS, settings.khop})))
    print(f"\n{evidence.report()}")
    about = {
        "dataset": interactions.name,
        "checksum": interactions.checksum,
        "region": region.describe(settings.num_candidates),
        "intermediate": evidence.to_json(),
    }
    write_json(folder / "regions.json", about)
    plot_evidence(evidence, interactions.name, folder / "regions.png")
    print(f"\n{folder}/: regions.json regions.png")


if __name__ == "__main__":
    command_line.run(main, (Config, Workspace), interrupted="run it again")
