// Package guard runs a command that must not outlive a leadership.
//
// The process that leads can be killed or stopped at any moment, and then it
// can no longer end its command. So a second, small process does it: the guard,
// which is the same program run again. It owns the command's process group,
// learns each new deadline over a pipe, and kills the group as soon as a
// deadline passes or the pipe closes.
//
//	run ──commands (fd 3)──▶ guard ──▶ CMD, in a process group of its own
//	    ◀──reports (fd 4)───         ╰─▶ what CMD starts
//
// # What holds
//
// CMD and every process in its group end
//
//   - at the deadline, on the boot clock or the wall clock, whichever comes
//     first. The guard and the parent both watch it: stopping one of them does
//     not help CMD;
//   - when the parent dies, however it dies;
//   - when the guard dies: CMD at once (PR_SET_PDEATHSIG), the rest of its group
//     by the parent;
//   - when CMD's main process ends: background jobs left in its group are part
//     of the work. They get SIGTERM, and SIGKILL after [LeftoverGrace];
//   - on [Guard.Stop] and [Guard.Kill].
//
// [Guard.Wait] returns when the whole group is gone, and not earlier.
//
// A group is signalled only while a process in it has not been reaped, so the
// signal cannot reach a stranger that was given the same number later. On Linux
// guard and parent are child subreapers: orphans of the group stay theirs.
// What a command has left behind outside its group may so become the parent's while that
// has another command: [ReapOrphans] is for that.
//
// CMD gets the parent's stdin, stdout and stderr, any other descriptor that the
// parent itself was started with except 3 and 4, default signal dispositions,
// and no blocked signals.
//
// # The terminal
//
// When CMD starts while the parent's stdin is a terminal and the parent is in its
// foreground group, CMD's group becomes the foreground group, so Ctrl-C reaches
// CMD only, and CMD may read. After CMD's end the parent takes the terminal back
// with the settings it had. A parent that is stopped and brought back by its
// shell passes the terminal on again.
//
// The terminal stays where it is when stdout or stderr is a pipe, because the
// process at its other end may need it (run ... | less); then Ctrl-C reaches the
// parent, which should pass it on.
//
// Ctrl-Z stops CMD for a moment only: a leader cannot be suspended, so the guard
// continues it and says so on stderr.
//
// # What cannot be covered
//
//   - A process that leaves the group (setsid, a daemon, a shell's job control)
//     is not killed. Run commands in the foreground.
//   - If parent, guard and group are all stopped or frozen, nobody is killed and
//     nobody runs. After the freeze ends, the first of them to be scheduled may
//     be CMD: it can run for the moment that the guard needs to wake.
//   - A process in uninterruptible sleep (a dead NFS mount) ends when its sleep
//     does. Wait waits for it.
//   - A process that became another user (setuid) cannot be killed by a parent
//     without privileges.
//   - Parent and guard both SIGKILLed at one moment: CMD itself dies on Linux
//     (unless it is setuid or has cleared its parent-death signal); the rest of
//     its group lives on. Elsewhere CMD lives on too. The same is true of what
//     CMD forked in the instant before the guard could report its number.
//   - Other Unixes have neither subreapers nor parent-death signals: the end of
//     a group is found by asking every few milliseconds. Windows is unsupported.
//
// A store that checks the fencing token is the answer to all of these.
package guard
