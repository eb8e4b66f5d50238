/* writer.h - for those who replace the file under a writer's lock. */
#ifndef NLSH_LIVE_WRITER_H
#define NLSH_LIVE_WRITER_H

#include "live/state.h"

struct nlsh__live *nlsh__writer_live(const struct nlsh_writer *writer);

#endif
