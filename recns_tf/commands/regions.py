"""Build the regions of a dataset and measure their coverage.

Prints the region selected by the flags and, for each khop, the share of the items and of the valid
and test positives in the intermediate region. Writes the same to data/DATASET/regions.json, and a
plot to regions.png. The region is cached for training.
"""

from __future__ import annotations

from contextlib import nullcontext

from recns_tf.commands.app import Call, Command, load_dataset
from recns_tf.config.cluster import RAY, ClusterSettings
from recns_tf.config.config import Config, Workspace
from recns_tf.utils.files import write_json
from recns_tf.utils.quiet import silenced_stderr
from recns_tf.utils.together import written_together


def main(call: Call) -> None:
    """Run the command."""
    where = call.settings(ClusterSettings)
    where.require_packages()
    settings, interactions, folder = load_dataset(call)
    with silenced_stderr():
        from recns_tf.analysis.plots import plot_coverage
        from recns_tf.analysis.region_coverage import KHOPS, measure_coverage
        from recns_tf.regions.ray_graph import RayGraph
        from recns_tf.regions.region import build_region
        from recns_tf.regions.walks import Graph
        from recns_tf.utils.ray_tasks import connected
    print(interactions.summary())
    on_ray = where.engine == RAY
    make_graph = RayGraph if on_ray else Graph
    with connected(where.address) if on_ray else nullcontext():
        region = build_region(
            interactions.train,
            "intermediate" if settings.region == "auto" else settings.region,
            settings.khop,
            settings.region_definition,
            memory=settings.region_memory,
            cache=folder,
            make_graph=make_graph,
        )
        print(region.summary(settings.num_candidates))
        khops = tuple(sorted({*KHOPS, settings.khop}))
        coverage = measure_coverage(interactions, khops, make_graph)
    print(f"\n{coverage.report()}")
    about = {
        "dataset": interactions.name,
        "checksum": interactions.checksum,
        "region": region.describe(settings.num_candidates),
        "intermediate": coverage.to_json(),
    }
    with written_together(folder, last="regions.json") as new:
        plot_coverage(coverage, interactions.name, new / "regions.png")
        write_json(new / "regions.json", about)
    print(f"\n{folder}/: regions.json regions.png")


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET",
    example="ml-100k",
    settings=(Config, Workspace, ClusterSettings),
    run=main,
    flagfile_words=1,
)
