#!/usr/bin/python3
"""Reads the sample result of tests/unit/store/sample.h with h5py and, where they are installed, with
xarray over h5netcdf and netCDF-4. The judges are these libraries: none of our code reads here.

    result_file.py RESULT.h5       exit 0 all right, 1 not, 77 h5py missing"""
import sys

try:
    import h5py
    import numpy as np
except ImportError:
    sys.exit(77)

N = 7


def check_h5py(path):
    with h5py.File(path, "r") as f:
        assert f.attrs["format"] == b"sgdist result" and f.attrs["title"] == "a test"
        d = f["maps/smoothgrad/map"]
        assert d.shape == (N, 2, 3, 4, 5) and d.dtype == np.dtype("<f4")
        assert d.chunks is None and d.id.get_offset() is not None
        assert d.attrs["long_name"] == "mean gradient"
        assert d.attrs["axes"] == b"item target_index channel y x"
        names = [axis.keys() for axis in d.dims]
        assert names == [["item"], ["target_index"], ["channel"], ["y"], ["x"]], names
        assert list(d.dims[2][0].asstr()[:]) == ["red", "green", "blue"]
        assert list(d.dims[0][0][:]) == list(range(N))
        assert [h5py.h5ds.is_scale(x.id) for x in (f["item"], f["channel"], d)] == [True, True, False]

        ids = f["items/id"].asstr()[:]
        assert list(ids) == ["cat/%03d.png" % i for i in range(N)]
        assert f["provenance/identity"].asstr()[()].endswith("study.name: \u00e9t\u00e9\n")
        status = f["items/status"][:]
        assert list(status) == [1, 1, 1, 2, 1, 1, 0]
        assert f["items/message"].asstr()[3] == "no such image"
        for i in range(N - 1):
            want = (1000 * i + 1 + np.arange(120)).reshape(2, 3, 4, 5).astype("f4")
            assert np.array_equal(d[i], want)
            assert f["items/key"][i] == 2**63 + i and f["items/count"][i] == -i
            assert f["items/target"][i, 1] == i and f["items/seconds"][i] == 0.5 * i
            change = f["convergence/smoothgrad/change"][i]
            assert np.array_equal(change, 1.0 / (1 + i + np.arange(6)))
        assert not d[N - 1].any()
        assert f["provenance/runs/start"].shape == (4,)
        # What every back reference says is true: dataset and axis lie along that scale.
        for name in ("item", "target_index", "channel", "y", "x", "stage"):
            for use in f[name].attrs["REFERENCE_LIST"]:
                assert name in f[use[0]].dims[use[1]].keys()
        assert len(f["item"].attrs["REFERENCE_LIST"]) == 9
        numbers = sorted(int(f[k].attrs["_Netcdf4Dimid"]) for k in f if isinstance(f[k], h5py.Dataset))
        assert numbers == list(range(6)), numbers


def check_xarray(path, engine):
    import xarray

    with xarray.open_dataset(path, engine=engine, group="maps/smoothgrad") as ds:
        assert ds["map"].dims == ("item", "target_index", "channel", "y", "x")
        assert ds["map"].attrs["long_name"] == "mean gradient"
        assert float(ds["map"][2, 1, 2, 3, 4]) == 2120.0
    with xarray.open_dataset(path, engine=engine, group="dataset/smoothgrad") as ds:
        assert ds["mean"].dims == ("y", "x")
    if engine == "netcdf4":
        return  # netCDF-C 4.9.0 misreads arrays of fixed-length strings of any HDF5 file
    with xarray.open_dataset(path, engine=engine, group="items") as ds:
        assert ds["status"].dims == ("item",) and int(ds["status"][3]) == 2
        name = ds["id"].values[4]
        assert (name.decode() if isinstance(name, bytes) else name) == "cat/004.png"
    with xarray.open_dataset(path, engine=engine) as ds:
        assert set(ds.sizes) == {"item", "target_index", "channel", "y", "x", "stage"}, ds.sizes


def main():
    path = sys.argv[1]
    check_h5py(path)
    for engine, module in (("h5netcdf", "h5netcdf"), ("netcdf4", "netCDF4")):
        try:
            __import__(module)
            import xarray
        except ImportError:
            print("not tested, python3-%s or python3-xarray is missing" % module.lower())
            continue
        check_xarray(path, engine)


if __name__ == "__main__":
    main()
