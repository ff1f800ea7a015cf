/* One case on one side: a directory, a process, a log. */
#include "run.h"

#include <signal.h>
#include <sys/wait.h>

#include "state.h"

static void child(struct px *t, const struct px_case *c, int dir)
{
	if (fchdir(dir))
		_exit(1);
	close(dir);
	umask(022);
	/* a hung mount must not hang the run: the parent sees SIGALRM and goes on */
	alarm(30);
	c->run(t);
	_exit(0);
}

void run_case(struct px *t, const struct px_case *c, int base, const char *name)
{
	int status = 0, dir;
	pid_t pid;

	memset(t, 0, offsetof(struct px, log));
	t->log[0] = 0;
	t->arg = c->arg;
	if (mkdirat(base, name, 0755) || fchmodat(base, name, 0755, 0)) {
		px_need(t, false, "case directory");
		return;
	}
	dir = openat(base, name, O_RDONLY | O_DIRECTORY);
	px_need(t, dir >= 0, "case directory");
	if (dir < 0)
		return;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		child(t, c, dir);
	px_need(t, pid > 0 && waitpid(pid, &status, 0) == pid, "fork");
	if (WIFSIGNALED(status))
		px_note(t, "killed by %s", sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		px_need(t, false, "the case's process");
	state_record(t, dir);
	close(dir);
}
