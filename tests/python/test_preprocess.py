"""Decoding and preprocessing against Pillow and torchvision, on photographs and made-up files.

Usage: test_preprocess.py PREPROCESS_DUMP. The judges are Image.open(p).convert('RGB') and torchvision's
transforms on PIL images; decoded bytes must be equal, resized pixels too (the same fixed-point steps)."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

try:
    import numpy as np
    import skimage
    from PIL import Image
    from torchvision import transforms
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

DUMP = os.environ["PREPROCESS_DUMP"]
PHOTOS = ["astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "color.png",
          "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "page.png", "phantom.png",
          "retina.jpg", "rocket.jpg", "horse.png", "palette_color.png", "palette_gray.png", "foo3x5x4indexed.png"]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RGB, BGR, GREY = 0, 1, 2
failures = []


def check(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED:", text)


def dump(folder, position, shape, resize=0, crop=(0, 0), color=RGB, scale=1, normalize=None):
    pairs = [v for pair in zip(*normalize) for v in pair] if normalize else []
    args = [folder, position, *shape, resize, *crop, color, scale, *pairs]
    run = subprocess.run([DUMP, *map(str, args)], capture_output=True, timeout=60)
    if run.returncode != 0:
        return run.stderr.decode()
    return np.frombuffer(run.stdout, np.float32).reshape(shape)


def copy_photos(folder):
    data = os.path.join(os.path.dirname(skimage.__file__), "data")
    for name in PHOTOS:
        if os.path.exists(os.path.join(data, name)):
            shutil.copy(os.path.join(data, name), folder)
    try:
        import sklearn.datasets
        images = os.path.join(os.path.dirname(sklearn.datasets.__file__), "images")
        for name in ("china.jpg", "flower.jpg"):
            shutil.copy(os.path.join(images, name), folder)
    except (ImportError, OSError):
        pass


def make_variants(folder):
    """Every way to store a picture that Pillow can write and the decoders treat differently."""
    photo = Image.open(os.path.join(folder, "chelsea.png")).convert("RGB").resize((151, 97))
    grey = photo.convert("L")
    alpha = grey.point(lambda v: v // 2 + 40)
    rgba = photo.copy()
    rgba.putalpha(alpha)
    rgba.save(os.path.join(folder, "made_rgba.png"))
    Image.merge("LA", (grey, alpha)).save(os.path.join(folder, "made_la.png"))
    grey.save(os.path.join(folder, "made_grey.png"))
    grey.save(os.path.join(folder, "made_grey_key.png"), transparency=100)
    photo.save(os.path.join(folder, "made_rgb_key.png"), transparency=(1, 2, 3))
    photo.convert("1").save(os.path.join(folder, "made_bilevel.png"))
    for colors in (2, 4, 13, 256):
        few = photo.quantize(colors)
        few.save(os.path.join(folder, f"made_palette_{colors}.png"), bits={2: 1, 4: 2, 13: 4, 256: 8}[colors])
    photo.quantize(16).save(os.path.join(folder, "made_palette_key.png"), transparency=3)
    for sub, name in enumerate(("444", "422", "420")):
        photo.save(os.path.join(folder, f"made_{name}.jpg"), quality=83, subsampling=sub)
    photo.save(os.path.join(folder, "made_progressive.jpeg"), quality=60, progressive=True)
    grey.save(os.path.join(folder, "made_grey.jpg"), quality=90)
    photo.convert("CMYK").save(os.path.join(folder, "made_cmyk.jpg"), quality=90)
    photo.save(os.path.join(folder, "made_really_a_jpeg.png"), format="jpeg")
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: a camera held upright, which Image.open does not undo
    photo.save(os.path.join(folder, "made_turned.jpg"), exif=turned)
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(1, 256)).save(os.path.join(folder, "made_one_row.png"))


ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def write_png(path, pixels, color, interlaced=False):
    """pixels[rows, columns, channels] of 8 or 16 bits as PNG (ISO/IEC 15948), in kinds that Pillow cannot write."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows, columns = pixels.shape[:2]
    stored = pixels.astype(pixels.dtype.newbyteorder(">"))
    passes = [stored[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [stored]
    lines = b"".join(b"\0" + np.ascontiguousarray(row).tobytes() for part in passes if part.shape[1] for row in part)
    head = struct.pack(">IIBBBBB", columns, rows, 8 * pixels.itemsize, color, 0, 0, interlaced)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head))
        f.write(chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


def make_rare_pngs(folder):
    random = np.random.default_rng(5)
    for channels, color, name in ((1, 0, "grey"), (2, 4, "la"), (3, 2, "rgb"), (4, 6, "rgba")):
        small = random.integers(0, 256, (23, 37, channels), np.uint8)
        write_png(os.path.join(folder, f"made_interlaced_{name}.png"), small, color, interlaced=True)
        if channels > 1:  # 16-bit grey has a test of its own
            deep = random.integers(0, 65536, (9, 5, channels), np.uint16)
            write_png(os.path.join(folder, f"made_deep_{name}.png"), deep, color)
            write_png(os.path.join(folder, f"made_deep_interlaced_{name}.png"), deep, color, interlaced=True)


def test_deep_grey(folder, names):
    """Pillow cuts 16-bit grey off at 255; it is refused, with a reason."""
    with tempfile.TemporaryDirectory() as here:
        write_png(os.path.join(here, "deep.png"), np.full((4, 4, 1), 9000, np.uint16), 0)
        got = dump(here, 0, (3, 4, 4))
        check(isinstance(got, str) and "deep.png" in got and "16-bit grey" in got, f"16-bit grey: {got}")


def bytes_of(x):
    """The bytes v of x = v/255 in single precision."""
    v = np.rint(x * 255)
    assert (v.astype(np.float32) / np.float32(255) == x).all()
    return v.astype(np.uint8)


def test_decoding(folder, names):
    for position, name in enumerate(names):
        want = np.asarray(Image.open(os.path.join(folder, name)).convert("RGB")).transpose(2, 0, 1)
        got = dump(folder, position, want.shape)
        if isinstance(got, str):
            check(False, f"decoding {name}: {got}")
        else:
            check((bytes_of(got) == want).all(), f"decoding {name}: {(bytes_of(got) != want).sum()} bytes differ")


def test_resizing(folder, names):
    worst = 0.0
    for position, name in enumerate(names):
        image = Image.open(os.path.join(folder, name)).convert("RGB")
        for resize, crop in ((256, (224, 224)), (232, (224, 224)), (97, (97, 61)), (33, (64, 81)), (500, (299, 500)),
                             (7, (5, 3)), (0, (71, 1001)), (64, (64, 64))):
            if image.height == 1 and resize > 64:
                continue  # its long side would have 100,000 pixels
            steps = ([transforms.Resize(resize)] if resize else []) + [transforms.CenterCrop(crop)]
            want = np.asarray(transforms.Compose(steps)(image)).transpose(2, 0, 1).astype(int)
            got = dump(folder, position, want.shape, resize, crop)
            if isinstance(got, str):
                check(False, f"{name}, resize {resize}, crop {crop}: {got}")
                continue
            apart = np.abs(bytes_of(got).astype(int) - want)
            worst = max(worst, apart.max())
            check(apart.max() == 0,
                  f"{name}, resize {resize}, crop {crop}: apart by {apart.max()}, mean {apart.mean()}")
    print("resizing: largest difference", worst, "of 255")


def test_resize_alone(folder, names):
    """The long side of Resize(shorter) is rounded down."""
    for position, name in enumerate(names):
        image = Image.open(os.path.join(folder, name)).convert("RGB")
        if image.height == 1:
            continue
        want = transforms.ToTensor()(transforms.Resize(50)(image)).numpy()
        got = dump(folder, position, want.shape, 50)
        check(not isinstance(got, str) and (got == want).all(), f"{name}, resize to {want.shape} without a crop")


def test_tensor(folder, names):
    """ToTensor, scale and Normalize to the last bit; colour orders."""
    position = names.index("coffee.png")
    image = Image.open(os.path.join(folder, "coffee.png")).convert("RGB")
    cut = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])(image)
    tensor = transforms.ToTensor()(cut)
    args = {"resize": 256, "crop": (224, 224)}
    cases = {
        "normalize": (transforms.Normalize(MEAN, STD)(tensor), dict(normalize=(MEAN, STD))),
        "scale": (transforms.Normalize((103.9, 116.8, 123.7), (1, 1, 1))((tensor * 255)[[2, 1, 0]]),
                  dict(color=BGR, scale=255, normalize=((103.9, 116.8, 123.7), (1, 1, 1)))),
        "one mean for all": (transforms.Normalize((0.5,) * 3, (0.25,) * 3)(tensor), dict(normalize=((0.5,), (0.25,)))),
    }
    for name, (want, options) in cases.items():
        got = dump(folder, position, (3, 224, 224), **args, **options)
        check(not isinstance(got, str) and (got == want.numpy()).all(), f"tensor, {name}: not the same bits")
    grey = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])(image.convert("L"))
    got = dump(folder, position, (1, 224, 224), **args, color=GREY)
    check((got == transforms.ToTensor()(grey).numpy()).all(), "grey: not the same bits as convert('L')")
    got = dump(folder, position, (3, 224, 224), **args, color=GREY)
    check((got == transforms.ToTensor()(grey).numpy()).all(), "grey in three channels")


def test_truncated(folder, names):
    """What Pillow refuses is refused; what is read has Pillow's bytes."""
    with tempfile.TemporaryDirectory() as here:
        for name in ("made_420.jpg", "made_progressive.jpeg", "made_rgba.png", "made_palette_13.png"):
            whole = open(os.path.join(folder, name), "rb").read()
            for keep in [0, 1, 2, 3, 7, 8, 20, 40, len(whole) // 2, *range(len(whole) - 24, len(whole))]:
                with open(os.path.join(here, "cut.png"), "wb") as f:
                    f.write(whole[:keep])
                try:
                    want = np.asarray(Image.open(os.path.join(here, "cut.png")).convert("RGB")).transpose(2, 0, 1)
                except (OSError, SyntaxError):
                    want = None
                got = dump(here, 0, (3, 97, 151))
                if want is None:
                    check(isinstance(got, str) and "cut.png: " in got, f"{name} cut to {keep} bytes is read")
                elif not isinstance(got, str):
                    check((bytes_of(got) == want).all(), f"{name} cut to {keep} bytes: other bytes")
                else:
                    print("note:", name, "cut by", len(whole) - keep, "Pillow reads, sgdist:", got.strip())


def main():
    with tempfile.TemporaryDirectory() as folder:
        copy_photos(folder)
        make_variants(folder)
        make_rare_pngs(folder)
        names = sorted(os.listdir(folder), key=os.fsencode)
        for test in (test_decoding, test_resizing, test_resize_alone, test_tensor, test_deep_grey, test_truncated):
            test(folder, names)
        photos = sum(not n.startswith("made_") for n in names)
        print(f"{photos} photos, {len(names) - photos} made-up files, {len(failures)} failures")
        check(photos >= 10, "fewer than 10 photos were found")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
