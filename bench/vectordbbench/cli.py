from typing import Annotated, Unpack

import click

from ....cli.cli import CommonTypedDict, cli, click_parameter_decorators_from_typed_dict, run
from .. import DB


class NlshTypedDict(CommonTypedDict):
    path: Annotated[str, click.option("--path", type=str, required=True, help="folder for the index")]
    recall: Annotated[float, click.option("--recall", type=float, default=0.95, show_default=True,
                                          help="recall that a search aims at")]


@cli.command()
@click_parameter_decorators_from_typed_dict(NlshTypedDict)
def Nlsh(**parameters: Unpack[NlshTypedDict]):
    from .config import NlshConfig, NlshIndexConfig

    run(
        db=DB.Nlsh,
        db_config=NlshConfig(db_label=parameters["db_label"], path=parameters["path"]),
        db_case_config=NlshIndexConfig(recall=parameters["recall"]),
        **parameters,
    )
