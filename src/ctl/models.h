/*
 * ctl/models.h - inferctl pull, delete: models on a backend's own machine
 *
 * Threads: one. Blocks: until the server has done it.
 */
#ifndef CTL_MODELS_H
#define CTL_MODELS_H

/* models_pull / models_delete - run functions of command.h: [--json] [BACKEND/]NAME */
int models_pull(const char *mount, int n, char **args);
int models_delete(const char *mount, int n, char **args);

#endif
