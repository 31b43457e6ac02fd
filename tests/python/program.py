"""What the tests of the whole program share: jobs and data made on the fly, the program run on them."""
import os
import struct
import subprocess

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.path.join(os.path.dirname(REPOSITORY), "shared")
QUICKSTART = os.path.join(REPOSITORY, "jobs", "quickstart.yaml")


def write_idx(path, images):
    """uint8 images[n][rows][columns] as MNIST has them: grey pictures for the network."""
    with open(path, "wb") as f:
        f.write(struct.pack(">HBB3I", 0, 8, 3, *images.shape) + images.tobytes())


def text(value):
    """A value as YAML has it; every value here is a number, a word, a list or a map of these."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(text(v) for v in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)) if isinstance(value, float) else str(value)


def write_job(path, **sections):
    """A job file of the sections (study=..., model=..., ...), each in YAML's flow style."""
    with open(path, "w") as f:
        f.writelines(f"{key}: {text(value)}\n" for key, value in sections.items())
    return path


def sgdist(program, *arguments, launcher=()):
    """Runs it to the end; its output. What it says on an error is this test's error."""
    run = subprocess.run([*launcher, program, *map(str, arguments)], capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: exit code {run.returncode}\n{run.stderr}")
    return run.stdout + run.stderr
