package proc

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A start is one process to start, and where to say how that went.
type start struct {
	cmd *exec.Cmd
	err chan<- error
}

// spawner is the one goroutine that forks. The kernel ties PR_SET_PDEATHSIG to
// the thread that forked, not to its process: were that thread one of the
// runtime's, the children would die whenever the runtime lets it go. So this
// one keeps its thread, and never ends.
var spawner = sync.OnceValue(func() chan<- start {
	c := make(chan start)
	go func() {
		runtime.LockOSThread()
		for s := range c {
			s.err <- s.cmd.Start()
		}
	}()
	return c
})

func spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	err := make(chan error, 1)
	spawner() <- start{cmd, err}
	return <-err
}

// reap waits for the leader's end but leaves it unreaped until its group is
// swept: so long its id, and the group's, cannot belong to another.
func (p *Process) reap() error {
	waitid(p.Pid(), unix.WEXITED)
	p.sweep()
	return p.cmd.Wait()
}

// AwaitStopped waits until every thread of a process that was sent SIGSTOP has
// stopped. It reports whether that came true in time.
func (p *Process) AwaitStopped() bool {
	for end := time.Now().Add(stopTimeout); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		var info unix.Siginfo // stays zero while nothing has happened
		err := unix.Waitid(unix.P_PID, p.Pid(), &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == nil && info.Signo != 0 {
			return true
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false
		}
	}
	return false
}

// waitid waits for an event of a child and leaves the event where it is.
func waitid(pid, events int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, events|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
