"""sgdist for Spack 1.0 and later, from the clone that this file lies in (its branch main):

    spack repo add slurm/spack_repo/sgdist
    spack install sgdist                    # --test=root runs the unit tests
    spack load sgdist
"""
import pathlib

from spack_repo.builtin.build_systems.cmake import CMakePackage, generator

from spack.package import *

CLONE = pathlib.Path(__file__).resolve().parents[5]


class Sgdist(CMakePackage):
    """Gradient-smoothing attributions (SmoothGrad and its relatives) for whole data sets, with standard errors: the same
    bits on any number of MPI ranks, and restart after any interruption."""

    homepage = CLONE.as_uri()
    git = str(CLONE)

    license("BSD-3-Clause")

    version("main", branch="main")

    depends_on("c", type="build")
    depends_on("cmake@3.20:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("cmocka", type="test")
    depends_on("mpi@3.1:")
    depends_on("openblas threads=none")  # a pool of threads would start on every rank
    depends_on("hdf5@1.10:1.14 ~mpi")  # one process writes
    depends_on("libyaml")
    depends_on("libpng")
    depends_on("libjpeg-turbo")
    depends_on("zlib-api")
    depends_on("cairo +png")

    generator("ninja")

    def cmake_args(self):
        return [self.define("BUILD_TESTING", self.run_tests)]

    def setup_run_environment(self, env):
        env.set("OPENBLAS_NUM_THREADS", "1")
        env.set("OMP_NUM_THREADS", "1")

    def check(self):
        with working_dir(self.build_directory):
            ctest("-L", "unit", "--output-on-failure")

    @run_after("install")
    @on_package_attributes(run_tests=True)
    def quickstart(self):
        job = join_path(self.prefix.share, "sgdist", "jobs", "quickstart.yaml")
        result = join_path(self.stage.path, "quickstart.h5")
        sgdist = Executable(self.prefix.bin.sgdist)
        sgdist(job, "--set", "data.limit=8", "--set", f"study.output={result}")
        sgdist("status", result)
