"""Write a finished run as a TensorFlow SavedModel, which answers without this program.

RUN is a folder under runs/. DIR/1 becomes a model that TensorFlow Serving can load: it recommends
items to users of the dataset and to new ones, by the ids of the log.
"""

from __future__ import annotations

import dataclasses

from recns_tf.commands.app import Call, Command
from recns_tf.config.flags import A_FOLDER, A_SIZE, LARGEST_K, Checked, option, whole
from recns_tf.utils.quiet import silenced_stderr


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportModel(Checked):
    """The flags of this command."""

    topk: int = option(20, "length of the lists", whole(1, LARGEST_K))
    version: int = option(1, "number of the version, the folder DIR/VERSION", A_SIZE)
    overwrite: bool = option(False, "replace the version if it exists")
    data_dir: str = option("data", "folder of the datasets", A_FOLDER)


def main(call: Call) -> None:
    """Run the command."""
    with silenced_stderr():
        from recns_tf.serving import saved_model
    settings = call.settings(ExportModel)
    target = saved_model.export(*call.words, **dataclasses.asdict(settings))
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    print(f"{target.absolute()}: {size / 1e6:.1f} MB, lists of {settings.topk} items.")


COMMAND = Command(
    about=__doc__ or "",
    words="RUN DIR",
    example="runs/ml-100k-lightgcn-recns served/movies",
    settings=(ExportModel,),
    run=main,
)
