/* components.h - how many principal components a router and its codes should have. */
#ifndef NLSH_MAKE_COMPONENTS_H
#define NLSH_MAKE_COMPONENTS_H

#include "nlsh/learn.h"

/*
 * nlsh__auto_components() - what makes the quickest query, by measurement on a sample.
 *
 *  base     plain rows: U8, I8 or F32
 *  options  resolved but for components, code_bytes and nodes
 * The usual number (64, 128 from 512 dimensions), or another that is quicker by a tenth. It is the usual one
 * too where nothing can be measured: few rows, no codes, inner products, values that do not fit in floats.
 * NLSH_E_NOMEM. Cost: about a second.
 */
enum nlsh_status nlsh__auto_components(const struct nlsh_matrix *base,
                                       const struct nlsh_build_options *options, size_t *out,
                                       struct nlsh_error *error);

/* 64, or 128 of 512 dimensions or more. */
size_t nlsh__usual_components(size_t dim);

#endif
