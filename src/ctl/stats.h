/*
 * ctl/stats.h - inferctl stats: stats/summary.json for people
 *
 * Threads: one. Blocks: never.
 */
#ifndef CTL_STATS_H
#define CTL_STATS_H

/* stats_run - a line for each number, or with --json the file as it is */
int stats_run(const char *mount, int n, char **args);

#endif
