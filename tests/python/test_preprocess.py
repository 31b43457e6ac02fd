"""Decoding and preprocessing against Pillow and torchvision, on photographs and made-up files.

Usage: test_preprocess.py PREPROCESS_DUMP. The judges are Image.open(p).convert('RGB') and torchvision's
transforms on PIL images; decoded bytes must be equal, resized pixels too (the same fixed-point steps)."""
import base64
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
    from PIL import Image, ImageOps
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
# An Adobe JPEG of four inks as YCCK, which Pillow reads and does not write: 16 x 8, by libjpeg's JCS_YCCK.
YCCK = ("/9j/7gAOQWRvYmUAZAAAAAAC/9sAQwADAgIDAgIDAwMDBAMDBAUIBQUEBAUKBwcGCAwKDAwLCgsLDQ4SEA0OEQ4LCxAWEBETFBUVFQwPFxgWFBgS"
        "FBUU/9sAQwEDBAQFBAUJBQUJFA0LDRQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU/8AAFAgACAAQBAEi"
        "AAIRAQMRAQQiAP/EABYAAQEBAAAAAAAAAAAAAAAAAAAHBv/EABoQAAICAwAAAAAAAAAAAAAAAAAGCDIiJKL/xAAUAQEAAAAAAAAAAAAAAAAAAAAG"
        "/8QAHBEAAAYDAAAAAAAAAAAAAAAAAAUGByIjMVHw/9oADgQBAAIRAxEEAAA/AN+wygtt9ExYZQW2+gAS3KbLYVhc6CRKbK99gUtaW6YFVWlumAB/"
        "/9k=")
failures = []


def check(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED:", text)


def dump(folder, position, shape, resize=0, crop=(0, 0), color=RGB, scale=1, exif=0, normalize=None):
    pairs = [v for pair in zip(*normalize) for v in pair] if normalize else []
    args = [folder, position, *shape, resize, *crop, color, scale, exif, *pairs]
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
    with open(os.path.join(folder, "made_ycck.jpg"), "wb") as f:
        f.write(base64.b64decode(YCCK))
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


def test_deep(folder, names):
    """16-bit PNG: v / 65535 in single precision, alpha dropped. Pillow is no judge of decoding here (it takes the high
    byte of colour), but reads grey as it is; of resizing it is, in its mode F."""
    random = np.random.default_rng(6)
    with tempfile.TemporaryDirectory() as here:
        for channels, color in ((1, 0), (2, 4), (3, 2), (4, 6)):
            deep = random.integers(0, 65536, (19, 31, channels), np.uint16)
            kept = deep[..., :1] if channels < 3 else deep[..., :3]
            for interlaced in (False, True):
                path = os.path.join(here, "deep.png")
                write_png(path, deep, color, interlaced)
                if channels == 1:
                    check((np.asarray(Image.open(path)) == deep[..., 0]).all(), "Pillow reads other 16-bit grey")
                what = f"16 bits, {channels} channels, {'interlaced' if interlaced else 'plain'}"
                want = kept.transpose(2, 0, 1).astype(np.float32) / np.float32(65535)
                color_of = GREY if channels < 3 else RGB
                got = dump(here, 0, want.shape, color=color_of)
                check(not isinstance(got, str) and (got == want).all(), f"{what}: {got}")
                planes = [Image.fromarray(kept[..., c].astype(np.float32)).resize((13, 8), Image.BILINEAR)
                          for c in range(kept.shape[2])]
                want = np.stack([np.asarray(p) for p in planes]) / np.float32(65535)
                got = dump(here, 0, want.shape, 8, color=color_of)
                check(not isinstance(got, str) and (got == want).all(),
                      f"{what}, resized: {got if isinstance(got, str) else np.abs(got - want).max()}")
        luma = (kept.astype(np.float64) @ [19595, 38470, 7471] / 65536 / 65535)[None]
        got = dump(here, 0, luma.shape, color=GREY)
        check(not isinstance(got, str) and np.abs(got - luma).max() < 1e-7, "16-bit colour made grey")


def test_exif(folder, names):
    """Each orientation undone as ImageOps.exif_transpose does it, in JPEG and PNG; left alone by default."""
    photo = Image.open(os.path.join(folder, "chelsea.png")).convert("RGB").resize((40, 24))
    for orientation in range(10):
        for ending in ("jpg", "png"):
            with tempfile.TemporaryDirectory() as here:
                path = os.path.join(here, f"turned.{ending}")
                tags = Image.Exif()
                tags[0x010F] = "a maker"
                tags[0x0112] = orientation
                photo.save(path, exif=tags)
                stored = Image.open(path)
                if ending == "png":
                    stored.load()
                for exif, judge in ((0, stored), (1, ImageOps.exif_transpose(stored))):
                    want = np.asarray(judge.convert("RGB")).transpose(2, 0, 1)
                    got = dump(here, 0, want.shape, exif=exif)
                    check(not isinstance(got, str) and (bytes_of(got) == want).all(),
                          f"orientation {orientation}, {ending}, exif {exif}: {got if isinstance(got, str) else ''}")


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
        for test in (test_decoding, test_resizing, test_resize_alone, test_tensor, test_deep, test_exif, test_truncated):
            test(folder, names)
        photos = sum(not n.startswith("made_") for n in names)
        print(f"{photos} photos, {len(names) - photos} made-up files, {len(failures)} failures")
        check(photos >= 10, "fewer than 10 photos were found")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
