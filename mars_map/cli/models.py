"""Commands that tell what a model is."""

import json
from typing import Any

import click


@click.command("model")
@click.argument("where")
@click.option(
    "--agreement",
    is_flag=True,
    help="Measure how far words in bfloat16 and int8 agree with float32, and how fast they are.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def model_command(where: str, agreement: bool, as_json: bool) -> None:
    """Fetch, check and describe the model WHERE.

    WHERE is a folder in the layout of mars_map, OpenCLIP or transformers, or hf-hub:org/name for a
    model of the Hugging Face hub. Its sha256 is what an index is bound to.
    """
    facts = _facts(where)
    if agreement and facts["layout"] != "compact":
        facts["agreement"] = _agreement(where)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for name in ("model", "layout", "architecture", "dimensions", "pixels", "sha256"):
        if name in facts:
            click.echo(f"{name:<14}{facts[name]}")
    for row in facts.get("agreement", ()):
        click.echo(
            f"{row['precision']:<14}cosine to float32 at least {row['least']:.5f}, mean "
            f"{row['mean']:.5f} over {row['sentences']} sentences; {row['query_ms']:.0f} ms a query"
        )


def _facts(where: str) -> dict[str, Any]:
    """Return what a model is; both sides are loaded, so that a wrong weight is found here."""
    from mars_map.encoders import family_model, load_image_encoder, load_text_encoder
    from mars_map.encoders.hub import locate

    folder = locate(where)
    images = load_image_encoder(folder.path)
    facts = {"model": folder.name, "layout": folder.kind, "dimensions": images.dim}
    if folder.kind != "compact":
        facts |= {
            "architecture": family_model(folder).architecture,
            "pixels": images.image_size,
        }
    del images
    return facts | {"sha256": load_text_encoder(folder.path).sha256}


def _agreement(where: str) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from mars_map.encoders import family_model
    from mars_map.encoders.agreement import measure
    from mars_map.encoders.hub import locate

    model = family_model(locate(where))
    fast = ("bfloat16", "int8") if model.takes_int8 else ("bfloat16",)
    return [asdict(row) for row in measure(model, ("float32", *fast))]
