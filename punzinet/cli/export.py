"""`punzinet export`: a network as ONNX."""

from pathlib import Path
from typing import Annotated

import typer

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.cli.options import NETWORK, OUTPUT, NetworkOption, OutputOption, console


def command(
    file: Annotated[
        Path | None, typer.Argument(help="the ONNX file; by default beside the network")
    ] = None,
    output: OutputOption = OUTPUT,
    network: NetworkOption = NETWORK,
) -> None:
    """Write a network as ONNX, with scaling and sigmoid inside and the cut in its metadata.

    Example: punzinet export --network punzi-00 punzi.onnx
    """
    from punzinet.analysis.network import load_network

    folder = OutputFolder(output)
    saved = load_network(folder.network(network))
    try:
        from punzinet.analysis.io.export import write_onnx
    except ModuleNotFoundError as error:
        raise InputError(
            f"`punzinet export` needs {error.name}: run `pip install 'punzinet[export]'`."
        ) from error
    path = file if file is not None else folder.network(network) / "network.onnx"
    write_onnx(saved, path)
    console.print(f"export: {path}", markup=False)
