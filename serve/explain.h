/* explain.h - what a search did, for the page: what the router thought, what was scanned, what was missed. */
#ifndef NLSH_SERVE_EXPLAIN_H
#define NLSH_SERVE_EXPLAIN_H

#include "serve/call.h"

/* POST /v1/explain, GET /v1/map, GET /v1/images: docs/serve.md. */
void nlsh__explain(struct nlsh__call *call);
void nlsh__explain_map(struct nlsh__call *call);
void nlsh__explain_images(struct nlsh__call *call);

#endif
