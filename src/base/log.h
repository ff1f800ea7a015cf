/*
 * log.h - what the daemon tells its operator, with secrets masked
 *
 *   1. log_open          once, before threads; stderr until then
 *   2. log_secret        every key the process knows is registered and never printed
 *   3. log_msg           one line: time, level, text
 *
 * Threads: any after log_open; one lock of rank LOCK_LOG. Blocks: only on the log file itself.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* log_open - path NULL: stderr; 0 or -errno of open(2) */
int log_open(const char *path, enum log_level level);
/* log_to_syslog - stop using stderr (the daemon goes to the background without a log file: syslog(3)) */
void log_to_syslog(void);
/* log_level_parse - "error", "warning", "info", "debug"; 0 or -EINVAL */
int log_level_parse(const char *name, enum log_level *out_level);
/* log_enabled - worth building an expensive message */
int log_enabled(enum log_level level);
/* log_secret - this text is replaced by "***" wherever it would be printed; copies it; "" ignored */
void log_secret(const char *secret);
/* log_mask - replace registered secrets in a NUL-terminated buffer, in place (never longer) */
void log_mask(char *text);
/* log_msg - one line; newlines and control characters are written as \n, \xNN; at most 4 KiB */
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* log_close - flush and free */
void log_close(void);

#endif
