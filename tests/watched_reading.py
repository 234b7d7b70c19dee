"""What may come of a hostile file, watched from outside the process that reads it."""

import contextlib
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path

#: All that may come of a hostile file.
ALLOWED = ("pixels", "refused")
#: What a file may cost: seconds of processor time, and memory.
SECONDS, BYTES = 5.0, 2 * 2**30
#: Seconds after which a child that does nothing hangs.
PATIENCE = 120
SEEDS = Path(__file__).parent / "robustness" / "corpus" / "seeds"


def outcome(path, number=0):
    """Read a file as an image or as a mask and say in a few words what came of it.

    Returns
    -------
    tuple of str and str
        ``"pixels"``, ``"refused"``, or what must not be; and the message.
    """
    from helicopter.errors import InvalidImageError, InvalidMaskError, InvalidOptionError
    from helicopter.io import read_image, read_mask

    options = {} if number % 5 else {"max_pixels": (1, 100, 10**9, 10**400)[number // 5 % 4]}
    begin = time.process_time()
    message = ""
    try:
        (read_mask if number % 4 == 3 else read_image)(path, **options)
        result = "pixels"
    except (InvalidImageError, InvalidMaskError, InvalidOptionError) as error:
        result, message = "refused", str(error)
        if "a fault of ours" in message or not message.startswith("cannot read "):
            result = "foreign exception"
    except MemoryError as error:
        result, message = "memory", str(error)
    except BaseException as error:
        result, message = "foreign exception", f"{type(error).__name__}: {error}"
    if time.process_time() - begin > SECONDS:
        result = "too slow"
    return result, message


def limited(most=BYTES):
    """Give this process the memory that a hostile file may cost, and no core dumps."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most += pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def watched(first, last, make, folder, most=BYTES):
    """Read the files `make` (number) makes in a child; yield outcome and message of each.

    Ends early behind a crash or a hang. Besides those of `outcome` there are ``"crash"``,
    ``"hang"``, ``"printed"`` and ``"opened another file"``.
    """
    _warm_up()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _read_all(first, last, make, Path(folder), most, writing)
        finally:
            os._exit(0)
    os.close(writing)
    told = b""
    number = first
    waited, used = time.monotonic(), 0.0
    try:
        while number < last:
            if not select.select([reading], [], [], 1)[0]:
                # on a busy machine nothing is said by the clock on the wall alone
                if time.monotonic() - waited > PATIENCE or _used(child) - used > 2 * SECONDS:
                    yield "hang", ""
                    return
                continue
            waited, used = time.monotonic(), _used(child)
            piece = os.read(reading, 2**16)
            if not piece:
                yield "crash", ""
                return
            *lines, told = (told + piece).split(b"\n")
            for line in lines:
                result, _, message = line.decode(errors="replace").partition("\t")
                yield result, message
                number += 1
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _used(child):
    """Return how many seconds of processor time a child has used."""
    text = Path(f"/proc/{child}/stat").read_text(encoding="utf-8", errors="replace")
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _read_all(first, last, make, folder, most, writing):
    path = folder / "hostile"
    printed = os.open(folder / "printed", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(printed, stream)
    others = _opened_others(path)
    limited(most)
    for number in range(first, last):
        path.write_bytes(make(number))
        others.clear()
        result, message = outcome(path, number)
        if others:
            result, message = "opened another file", others[0]
        if os.fstat(printed).st_size:
            result, message = "printed", os.pread(printed, 200, 0).decode(errors="replace")
            os.ftruncate(printed, 0)
            os.lseek(printed, 0, os.SEEK_SET)
        message = " ".join(message.split())[:300]
        os.write(writing, f"{result}\t{message}\n".encode(errors="replace"))


def _warm_up():
    """Load every codec, so that a child opens nothing but its file."""
    from helicopter.errors import InvalidImageError
    from helicopter.io import read_image

    for path in SEEDS.iterdir():
        with contextlib.suppress(InvalidImageError):
            read_image(path)


def _opened_others(path):
    """Return a list that fills with the names of files that are opened beside `path`."""
    others = []

    def hook(event, arguments):
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            name = os.fsdecode(arguments[0])
            if name != str(path) and not name.endswith((".py", ".pyc", ".so")):
                others.append(name)

    sys.addaudithook(hook)
    return others
