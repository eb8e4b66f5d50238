/* hdf5.h - datasets of HDF5 files, such as those of ann-benchmarks: FILE.hdf5:train. */
#ifndef NLSH_VECTORS_HDF5_H
#define NLSH_VECTORS_HDF5_H

#include "vectors/vectors.h"

/* Whether path names a dataset in an HDF5 file: FILE.hdf5:NAME or FILE.h5:NAME. */
int nlsh__hdf5_named(const char *path);

/*
 * nlsh__hdf5_read() - a dataset of two dimensions: floats as F32, bytes as they are, wider integers as I32.
 *
 * The library is looked for at run time, under the names that Debian gives it, or where NLSH_HDF5 says.
 * NLSH_E_UNSUPPORTED: it is not there. NLSH_E_NO_INPUT, NLSH_E_DATA.
 */
enum nlsh_status nlsh__hdf5_read(const char *path, struct nlsh_vectors *out,
                                 struct nlsh_error *error);

#endif
