# Foreign libraries; docs/dependencies.md says why each is here, ./bootstrap installs their packages.
find_package(PkgConfig REQUIRED)
find_package(MPI 3.1 REQUIRED COMPONENTS C)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)

pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
# Text and PNG of the contact sheet.
pkg_check_modules(CAIRO REQUIRED IMPORTED_TARGET cairo)
# The serial HDF5: one process writes, and the parallel build cannot share a process with it.
pkg_search_module(HDF5 REQUIRED IMPORTED_TARGET hdf5-serial hdf5)

# The serial OpenBLAS where there is one: its thread pool would start before main on every rank.
find_library(OPENBLAS_LIBRARY NAMES openblas
    PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-serial NO_DEFAULT_PATH)
find_library(OPENBLAS_LIBRARY NAMES openblas REQUIRED)
find_path(OPENBLAS_INCLUDE_DIR cblas.h
    PATHS /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-serial NO_DEFAULT_PATH)
find_path(OPENBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES openblas REQUIRED)
get_filename_component(openblas_dir ${OPENBLAS_LIBRARY} DIRECTORY)
list(APPEND CMAKE_INSTALL_RPATH ${openblas_dir})
add_library(openblas INTERFACE)
target_include_directories(openblas SYSTEM INTERFACE ${OPENBLAS_INCLUDE_DIR})
target_link_libraries(openblas INTERFACE ${OPENBLAS_LIBRARY})
message(STATUS "OpenBLAS: ${OPENBLAS_LIBRARY}")
