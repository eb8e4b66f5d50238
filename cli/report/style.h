/* style.h - the page's CSS: of page.c's elements and of figure.c's, whose numbers of styles it colours. */
#ifndef NLSH_CLI_REPORT_STYLE_H
#define NLSH_CLI_REPORT_STYLE_H

extern const char page_style[];

#endif
