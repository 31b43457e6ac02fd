#!/usr/bin/python3
"""The layers of a model as a Markdown table, equal ones once: what docs/performance.md shows of `sgdist bench`.

    bench/layers.py FILE.json        as `sgdist bench MODEL --json FILE.json` writes it
"""
import json
import sys


def rows(table):
    """{what the layers are: [their number, seconds forward, backward, multiply-adds of each]} in the order of the model."""
    found = {}
    for x in table["layers"]:
        row = found.setdefault((x["layer"], x["output"], x["multiply_adds"], x["forward"], x["backward"]), [0, 0.0, 0.0])
        for i, value in enumerate((1, x["forward_seconds"], x["backward_seconds"])):
            row[i] += value
    return found


def rate(multiply_adds, seconds):
    return f"{2e-9 * multiply_adds / seconds:.0f}" if multiply_adds > 0 else "-"


def main():
    with open(sys.argv[1]) as f:
        table = json.load(f)
    print("| layers | output | number | forward | us each | GF/s | backward | us each | GF/s | share |\n|" + " --- |" * 10)
    for (layer, output, multiply_adds, forward, backward), (n, ahead, back) in rows(table).items():
        print(f"| {layer} | {output} | {n} | {forward or '-'} | {1e6 * ahead / n:.0f} | {rate(multiply_adds, ahead / n)} | {backward or '-'} | "
              f"{1e6 * back / n:.0f} | {rate(multiply_adds, back / n)} | {100 * (ahead + back) / table['seconds_per_sample']:.1f} % |")


if __name__ == "__main__":
    main()
