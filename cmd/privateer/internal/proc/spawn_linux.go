package proc

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

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

// adopt makes this process the one that orphans of the set's processes come to, and
// reaps them: otherwise each is a zombie for as long as this is the first process of
// a container. s.mu is held.
func (s *Set) adopt() {
	if s.kick != nil {
		return
	}
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // the first process is one anyway
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	s.kick = func() {
		select {
		case ended <- syscall.SIGCHLD:
		default:
		}
	}
	go func() {
		for range ended {
			for s.reapOrphan() {
			}
		}
	}()
}

// reapOrphan reaps one process that is none of the set's. It reports whether there
// may be more. One of the set's own hides those behind it until it is reaped itself.
func (s *Set) reapOrphan() bool {
	s.mu.Lock() // so that none is just being started
	defer s.mu.Unlock()
	var info unix.Siginfo
	if unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) != nil || info.Signo == 0 {
		return false
	}
	pid := pidOf(&info)
	if s.guard != nil && s.guard.cmd.Process.Pid == pid {
		return false
	}
	for p := range s.live {
		if p.Pid() == pid {
			return false
		}
	}
	_, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
	return err == nil
}

// pidOf is si_pid: the first of the fields that depend on what happened, which are
// aligned as a pointer is.
func pidOf(info *unix.Siginfo) int {
	const pointer = unsafe.Sizeof(uintptr(0))
	const head = 3 * unsafe.Sizeof(int32(0)) // si_signo, si_errno, si_code
	const at = (head + pointer - 1) / pointer * pointer
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), at)))
}

// Numbers of killTree: what it kills may be starting others just then.
const (
	killRounds = 1000
	killPause  = time.Millisecond
)

// killTree kills every process that has tree in its environment, until there is
// none. So it finds what has left its group, and what began as this was called;
// not what has cleared its environment.
func killTree(tree string) {
	if tree == "" {
		return
	}
	want := []byte(treeVariable + "=" + tree)
	for range killRounds {
		list, _ := os.ReadDir("/proc") // without it nothing is found
		killed := false
		for _, entry := range list {
			pid, err := strconv.Atoi(entry.Name())
			if err != nil || pid == os.Getpid() {
				continue
			}
			environ, err := os.ReadFile("/proc/" + entry.Name() + "/environ") // of others it cannot be read
			if err == nil && bytes.Contains(environ, want) && syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed = true
			}
		}
		if !killed {
			return
		}
		time.Sleep(killPause)
	}
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
