//go:build unix

// Package proc starts processes that do not outlive the one that started
// them: each leads a process group of its own, and the whole group is killed
// when it is no longer wanted, or when its leader is done.
package proc

import (
	"context"
	"errors"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// escapeDelay bounds the wait for output pipes that a process which left the
// group still holds open.
const escapeDelay = time.Second

// stopTimeout bounds the wait for a process that was sent SIGSTOP.
const stopTimeout = 2 * time.Second

// A Set is the processes that run at the moment. The zero value is empty and
// ready to use. It is safe for concurrent use.
type Set struct {
	mu   sync.Mutex
	over bool // KillAll was called: nothing starts any more
	live map[*Process]struct{}

	tree  string // what treeVariable is; "" where there is to be no guard
	guard *guard // nil: there is none
	kick  func() // looks for orphans; nil: they do not come here
}

// ErrOver says that the set was killed and starts nothing any more.
var ErrOver = errors.New("shutting down")

// A StartError is why a process could not be started: nothing of it has run.
type StartError struct{ err error }

func (e *StartError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.err }

// A Process is a running process with its group. It is safe for concurrent use.
type Process struct {
	set *Set
	cmd *exec.Cmd

	mu     sync.Mutex
	reaped bool // the process id may belong to another by now

	done chan struct{} // closed when err stands
	err  error
}

// Start starts cmd as the leader of a new process group, or of a session where
// cmd asks for one. The caller must not call cmd's own Wait. An error is ErrOver or a
// *StartError. On Linux the leader is killed by the kernel when this
// process dies, however it dies.
func (s *Set) Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = !cmd.SysProcAttr.Setsid // a session is a new group, too
	cmd.WaitDelay = escapeDelay
	p := &Process{set: s, cmd: cmd, done: make(chan struct{})}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, ErrOver
	}
	if s.tree != "" {
		cmd.Env = append(cmd.Environ(), treeVariable+"="+s.tree)
	}
	if err := spawn(cmd); err != nil {
		return nil, &StartError{err}
	}
	if s.live == nil {
		s.live = make(map[*Process]struct{})
	}
	s.live[p] = struct{}{}
	s.tell(true, p.Pid())
	go p.wait()
	return p, nil
}

// Run starts cmd, calls started, and waits for it. When ctx ends first, the group
// gets SIGTERM and, after grace, SIGKILL; the error is then ctx's cause. If it could
// not be started, the error is ErrOver or a *StartError.
func (s *Set) Run(ctx context.Context, cmd *exec.Cmd, grace time.Duration, started func()) error {
	p, err := s.Start(cmd)
	if err != nil {
		return err
	}
	started()
	select {
	case <-p.Done():
		if p.Err() != nil && s.isOver() { // it was killed; that says nothing about it
			return ErrOver
		}
		return p.Err()
	case <-ctx.Done():
		p.Stop(grace)
		return context.Cause(ctx)
	}
}

func (s *Set) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// KillAll kills every group, waits until the leaders are gone, and lets
// nothing start after it.
func (s *Set) KillAll() {
	s.mu.Lock()
	s.over = true
	list := make([]*Process, 0, len(s.live))
	for p := range s.live {
		list = append(list, p)
	}
	s.mu.Unlock()
	for _, p := range list {
		p.Signal(syscall.SIGKILL)
	}
	for _, p := range list {
		<-p.Done()
	}
}

// Pid is the process id, which is the group's id too.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process is gone and its output was read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how it ended, as from exec.Cmd.Wait. It must not be called before
// Done is closed.
func (p *Process) Err() error { return p.err }

// Signal sends sig to the whole group. Once the leader is gone it does nothing.
func (p *Process) Signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.Pid(), sig) // it may be dying already
	}
}

// SignalLeader sends sig to the leader alone. A stop must go this way: sent to
// the group it can also hit a child that the leader is just forking, before
// that has a group of its own, and the leader then waits for it unstoppably.
func (p *Process) SignalLeader(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(p.Pid(), sig) // it may be dying already
	}
}

// Stop asks the group to end, kills it after grace, and waits until it is gone.
func (p *Process) Stop(grace time.Duration) {
	p.Signal(syscall.SIGTERM)
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-p.done:
		return
	case <-t.C:
	}
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// wait sees the process to its end.
func (p *Process) wait() {
	err := p.reap()
	if errors.Is(err, exec.ErrWaitDelay) { // it ended well; a runaway holds its output
		err = nil
	}
	p.err = err
	p.set.mu.Lock()
	delete(p.set.live, p)
	kick := p.set.kick
	p.set.mu.Unlock()
	close(p.done)
	if kick != nil { // orphans may have been behind it
		kick()
	}
}

// sweep kills what the leader left behind in its group, and gives up the id.
func (p *Process) sweep() {
	p.mu.Lock()
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL) // most often nothing is left
	p.reaped = true
	p.mu.Unlock()
	p.set.mu.Lock()
	defer p.set.mu.Unlock()
	p.set.tell(false, p.Pid())
}
