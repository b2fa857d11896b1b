"""What the commands at the utility's end are told alike."""

from pathlib import Path
from typing import Annotated

import typer

from gridmote.fault import Fault

Keys = Annotated[Path, typer.Option(
    "--keys", help="Folder of the fleet's keys, as gridmote provision made it.", file_okay=False)]
Segment = Annotated[str, typer.Option(
    "--segment", metavar="A,B,C", help="Area, location type and location id, as in the topics of its nodes.")]
Controllers = Annotated[list[str], typer.Option(
    "--ssc", metavar="HOST:PORT", help="A controller of the segment (role ssc); repeatable.")]
JOIN_S = 10.0


def segment_of(text):
    """Its three levels; Fault."""
    levels = tuple(text.split(","))
    if len(levels) != 3 or not all(levels):
        raise Fault(f"--segment {text}: AREA,LOCATION_TYPE,LOCATION_ID is needed")
    return levels
