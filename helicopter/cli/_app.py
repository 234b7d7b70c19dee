"""The commands and their options; what they do stands in the module of the same name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from helicopter._version import __version__
from helicopter.training._defaults import FINE_TUNING_RATE, FINE_TUNING_STEPS, LEARNING_RATE, STEPS

from ._options import (
    AlgorithmOption,
    Backend,
    BackendOption,
    DataRangeOption,
    DeviceOption,
    InitialKnownOption,
    JsonOption,
    LeftOutOption,
    LevelOption,
    MaxPixelsOption,
    MissingOption,
    PatchSizeOption,
    SeedOption,
    ThreadsOption,
    WeightsOption,
    machine,
    parts_option,
)

__all__ = ["app"]

app = typer.Typer(
    help="Tell how well an image can be explained from its own context.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"helicopter {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


@app.command()
def analyze(
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IMAGE",
            help="PNG, JPEG, TIFF or WebP files.",
            show_default=False,
            readable=False,  # left to the reader, so that one bad file does not stop the others
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the results go.")
    ] = Path("helicopter-report"),
    sample: Annotated[
        bool, typer.Option("--sample", help="Analyse the photograph that comes with Helicopter.")
    ] = False,
    as_json: JsonOption = False,
    mask: MissingOption = None,
    patch_size: PatchSizeOption = 32,
    context_size: Annotated[
        int | None,
        typer.Option(
            "--context-size",
            help="Side of the window that a prediction may draw from (default: everything)",
            show_default=False,
        ),
    ] = None,
    algorithm: AlgorithmOption = "network",
    weights: WeightsOption = None,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            help="What chooses the next patches: random, edge_guided, content_aware, "
            "uncertainty_guided, progressive_refinement or adaptive.",
        ),
    ] = "adaptive",
    target_quality: Annotated[
        float, typer.Option("--target-quality", help="Stop at this quality (0 to 1).")
    ] = 0.9,
    initial_known: InitialKnownOption = 0.2,
    max_iterations: Annotated[
        int | None,
        typer.Option(
            "--max-iterations",
            help="Stop after so many iterations (default: no limit)",
            show_default=False,
        ),
    ] = None,
    open_book: Annotated[
        bool,
        typer.Option("--open-book", help="Show the truth of each patch after its prediction."),
    ] = False,
    segments: Annotated[
        str,
        typer.Option(
            "--segments",
            metavar="N|auto|none",
            help="Into how many parts the image is cut, to look at them one by one; auto: where "
            "there is something to tell about them.",
        ),
    ] = "auto",
    anomalies: Annotated[
        bool,
        typer.Option(
            "--anomalies/--no-anomalies", help="Look for what is unlike the rest of the image."
        ),
    ] = True,
    level: LevelOption = 0.1,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Write no page and no plots.")
    ] = False,
    data_range: DataRangeOption = None,
    max_pixels: MaxPixelsOption = None,
    backend: BackendOption = Backend.auto,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    seed: SeedOption = 0,
) -> None:
    """Analyse images and write a report of each.

    [b]helicopter analyze --sample[/b]

    [b]helicopter analyze photo.jpg -o results[/b]

    [b]helicopter analyze *.png --json > figures.json[/b]

    Each image gets a folder in DIR, with report.html, plots, the reconstruction and figures.json.
    An image that fails does not stop the others.
    """
    from helicopter.io._reading import sample_path

    from ._analyze import analyze_images

    paths = [*(images or []), *([sample_path()] if sample else [])]
    if not paths:
        raise typer.BadParameter("name at least one image, or --sample", param_hint="IMAGE")
    code = analyze_images(
        paths,
        output,
        machine(backend, device, threads, seed),
        {
            "patch_size": patch_size,
            "context_size": context_size,
            "algorithm": algorithm,
            "weights": None if weights is None else str(weights),
            "strategy": strategy,
            "target_quality": target_quality,
            "initial_known": initial_known,
            "max_iterations": max_iterations,
            "open_book": open_book,
            "segments": parts_option(segments),
            "anomalies": anomalies,
            "level": level,
            "data_range": data_range,
        },
        mask=mask,
        report=not no_report,
        max_pixels=max_pixels,
        as_json=as_json,
    )
    raise typer.Exit(code)


@app.command()
def reconstruct(
    image: Annotated[
        Path,
        typer.Argument(metavar="IMAGE", help="A PNG, JPEG, TIFF or WebP file.", readable=False),
    ],
    mask: Annotated[
        Path,
        typer.Option(
            "--mask", metavar="MASK", help="A grey image of the same size: white is to be redrawn."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The suffix names the format; JPEG is lossy, so visible pixels change too.",
        ),
    ],
    algorithm: AlgorithmOption = "network",
    weights: WeightsOption = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            "--uncertainty",
            metavar="FILE",
            help="Also write the predicted standard deviation: as numbers (.tif) or as a picture "
            "with a colour bar (.png).",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    data_range: DataRangeOption = None,
    max_pixels: MaxPixelsOption = None,
    backend: BackendOption = Backend.auto,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    seed: SeedOption = 0,
) -> None:
    """Redraw the masked part of an image; the rest stays exactly as it is.

    [b]helicopter reconstruct photo.jpg --mask scratches.png -o mended.png[/b]

    [b]helicopter reconstruct scan.tif --mask holes.png -o mended.tif --uncertainty sigma.tif[/b]
    """
    from ._reconstruct import reconstruct_image

    reconstruct_image(
        image,
        mask,
        output,
        machine(backend, device, threads, seed),
        algorithm=algorithm,
        weights=weights,
        uncertainty=uncertainty,
        data_range=data_range,
        max_pixels=max_pixels,
        as_json=as_json,
    )


@app.command()
def noise(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE",
            help="PNG, JPEG, TIFF or WebP files.",
            show_default=False,
            readable=False,  # left to the reader, so that one bad file does not stop the others
        ),
    ],
    as_json: JsonOption = False,
    map_file: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE",
            help="Also write where one image is how noisy: as numbers (.tif) or as a picture with "
            "a colour bar (.png).",
            show_default=False,
        ),
    ] = None,
    segments: Annotated[
        int | None,
        typer.Option(
            "--segments",
            metavar="N",
            help="Also analyse the cells of a grid of N x N, one by one.",
            show_default=False,
        ),
    ] = None,
    mask: LeftOutOption = None,
    data_range: DataRangeOption = None,
    max_pixels: MaxPixelsOption = None,
    backend: BackendOption = Backend.auto,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    seed: SeedOption = 0,
) -> None:
    """Tell how noisy images are, with which kinds of noise, and where.

    [b]helicopter noise photo.jpg scans/*.tif[/b]

    [b]helicopter noise photo.jpg --map noise.png --segments 4[/b]

    Sigma is the standard deviation of the noise that is in every pixel, in the image's own units.
    An image that fails does not stop the others.
    """
    from ._noise import show_noise

    code = show_noise(
        images,
        machine(backend, device, threads, seed),
        segments=segments,
        mask=mask,
        map_file=map_file,
        data_range=data_range,
        max_pixels=max_pixels,
        as_json=as_json,
    )
    raise typer.Exit(code)


@app.command()
def anomalies(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE",
            help="PNG, JPEG, TIFF or WebP files.",
            show_default=False,
            readable=False,  # left to the reader, so that one bad file does not stop the others
        ),
    ],
    level: LevelOption = 0.1,
    figure: Annotated[
        Path | None,
        typer.Option(
            "--figure",
            "-o",
            metavar="FILE",
            help="Also draw one image with its anomalies outlined, beside the map (.png).",
            show_default=False,
        ),
    ] = None,
    map_file: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE",
            help="Also write how unlike the rest each place of one image is: as numbers (.tif) or "
            "as a picture with a colour bar (.png).",
            show_default=False,
        ),
    ] = None,
    segments: Annotated[
        int | None,
        typer.Option(
            "--segments",
            metavar="N",
            help="Let regions consist of whole segments, of which there are so many.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    mask: LeftOutOption = None,
    algorithm: AlgorithmOption = "network",
    weights: WeightsOption = None,
    data_range: DataRangeOption = None,
    max_pixels: MaxPixelsOption = None,
    backend: BackendOption = Backend.auto,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    seed: SeedOption = 0,
) -> None:
    """Find what in images does not follow from the rest of them, and is no noise either.

    [b]helicopter anomalies cloth.png scans/*.tif[/b]

    [b]helicopter anomalies cloth.png -o marked.png --level 0.01[/b]

    Of the regions that are declared no more than the share --level is false, on average.
    An image that fails does not stop the others; one with anomalies is no failure.
    """
    from ._anomalies import show_anomalies

    code = show_anomalies(
        images,
        machine(backend, device, threads, seed),
        level=level,
        segments=segments,
        algorithm=algorithm,
        weights=weights,
        mask=mask,
        map_file=map_file,
        figure=figure,
        data_range=data_range,
        max_pixels=max_pixels,
        as_json=as_json,
    )
    raise typer.Exit(code)


@app.command()
def verify(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE",
            help="PNG, JPEG, TIFF or WebP files.",
            show_default=False,
            readable=False,  # left to the reader, so that one bad file does not stop the others
        ),
    ],
    threshold: Annotated[
        float,
        typer.Option("--threshold", help="The quality (0 to 1) from which a patch is understood."),
    ] = 0.8,
    required_share: Annotated[
        float,
        typer.Option(
            "--required-share", help="Accept if at least this share of the patches is understood."
        ),
    ] = 0.8,
    cost_of_look: Annotated[
        float, typer.Option("--cost-of-look", help="What it costs to predict one more patch.")
    ] = 0.001,
    cost_of_false_accept: Annotated[
        float,
        typer.Option("--cost-of-false-accept", help="What it costs to accept what is not so."),
    ] = 1.0,
    cost_of_false_reject: Annotated[
        float, typer.Option("--cost-of-false-reject", help="What it costs to reject what is so.")
    ] = 1.0,
    max_looks: Annotated[
        int | None,
        typer.Option(
            "--max-looks",
            help="Decide after so many patches at the latest (default: 4096)",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Also write a report of each image into a folder of its own in DIR.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    mask: MissingOption = None,
    patch_size: PatchSizeOption = 32,
    algorithm: AlgorithmOption = "network",
    weights: WeightsOption = None,
    initial_known: InitialKnownOption = 0.2,
    data_range: DataRangeOption = None,
    max_pixels: MaxPixelsOption = None,
    backend: BackendOption = Backend.auto,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    seed: SeedOption = 0,
) -> None:
    """Decide whether images are understood, after no more looks than the decision is worth.

    [b]helicopter verify photo.jpg scans/*.tif[/b]

    [b]helicopter verify photo.jpg --threshold 0.9 --required-share 0.7 -o verified[/b]

    A look predicts one hidden patch and scores it. The costs are in one unit, whichever you like.
    An image that fails does not stop the others; a rejected image is no failure.
    """
    from ._verify import verify_images

    code = verify_images(
        images,
        machine(backend, device, threads, seed),
        {
            "threshold": threshold,
            "required_share": required_share,
            "cost_of_look": cost_of_look,
            "cost_of_false_accept": cost_of_false_accept,
            "cost_of_false_reject": cost_of_false_reject,
            "max_looks": max_looks,
        },
        {
            "patch_size": patch_size,
            "algorithm": algorithm,
            "weights": None if weights is None else str(weights),
            "initial_known": initial_known,
            "data_range": data_range,
        },
        mask=mask,
        output=output,
        max_pixels=max_pixels,
        as_json=as_json,
    )
    raise typer.Exit(code)


@app.command()
def info(
    as_json: JsonOption = False,
    backend: BackendOption = Backend.auto,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    seed: SeedOption = 0,
) -> None:
    """Say which backend and device is used and, for each that is not, why.

    [b]helicopter info[/b]

    [b]helicopter info --backend rust[/b]  fails, and says why, if Rust cannot be used
    """
    from ._info import show_info

    show_info(machine(backend, device, threads, seed), as_json=as_json)


@app.command()
def bench(
    size: Annotated[
        list[int] | None,
        typer.Option(
            "--size",
            help="Side of the test image; may be repeated (default: 512)",
            show_default=False,
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="Paired runs, of which the median counts.")
    ] = 3,
    as_json: JsonOption = False,
    backend: BackendOption = Backend.auto,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    seed: SeedOption = 0,
) -> None:
    """Measure Rust against Python on this machine, with the same number of threads.

    [b]helicopter bench[/b]

    [b]helicopter bench --size 512 --size 1024 --repeats 5[/b]

    Both work on one thread unless --threads says otherwise.
    """
    from ._bench import run_bench

    run_bench(
        tuple(size or (512,)),
        repeats,
        machine(backend, device, threads or 1, seed),
        as_json=as_json,
    )


@app.command()
def train(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Holds PNG, JPEG, TIFF or WebP files of at least 96 x 96 pixels.",
            readable=False,  # left to the reader, which says what to do
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Where the weights go."),
    ],
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            help=f"Batches to learn from (default: {STEPS}, with --from {FINE_TUNING_STEPS})",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WEIGHTS",
            help="Begin with these weights; `default` means those that come with Helicopter.",
            show_default=False,
        ),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            "--validation",
            metavar="FOLDER",
            help="Images to calibrate on (default: every tenth image, which is then kept out)",
            show_default=False,
            readable=False,
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="Is written now and then, and continued if it is there (default: beside FILE)",
            show_default=False,
            readable=False,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            help=f"Size of the steps (default: {LEARNING_RATE:g}, "
            f"with --from {FINE_TUNING_RATE:g})",
            show_default=False,
        ),
    ] = None,
    data_range: DataRangeOption = None,
    max_pixels: MaxPixelsOption = None,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            help="Threads of PyTorch (default: its own choice)",
            rich_help_panel="Machine",
            show_default=False,
        ),
    ] = None,
    seed: SeedOption = 0,
) -> None:
    """Train a network on images of your own; needs PyTorch: pip install torch

    [b]helicopter train cells/ -o cells.safetensors --from default[/b]

    [b]helicopter reconstruct a.tif --mask holes.png -o b.tif --weights cells.safetensors[/b]

    Ctrl-C writes a checkpoint; the same command goes on from it.
    """
    from ._train import train_network

    train_network(
        folder,
        output,
        steps=steps,
        seed=seed,
        device=device,
        threads=threads,
        checkpoint=checkpoint,
        start=start,
        validation=validation,
        learning_rate=learning_rate,
        data_range=data_range,
        max_pixels=max_pixels,
        as_json=as_json,
    )
