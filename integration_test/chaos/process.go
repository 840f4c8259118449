package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/privateer-mq/privateer/integration_test/chaos/history"
)

// A process is a child of the runner. It does not outlive it.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string   // of its stdout
	done  chan struct{} // closed when it has ended and its end is written down

	mu    sync.Mutex
	order syscall.Signal // how it was told to end; 0 if it was not
}

// linesMax is more than a process says before somebody listens.
const linesMax = 16

// start starts this binary in a role.
func (r *runner) start(name string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(r.dir, name+history.LogSuffix))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{name: name, lines: make(chan string, linesMax), done: make(chan struct{})}
	p.cmd = exec.Command(r.program, append(args, "-name", name, "-dir", r.dir, "-log", r.logLevel)...)
	// A data race ends the process: what it says is found in the log.
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1 atexit_sleep_ms=0")
	p.cmd.Stderr = log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return nil, errOver
	}
	if err := spawn(p.cmd); err != nil {
		return nil, err
	}
	r.live[p] = struct{}{}
	r.history.Add(history.Event{Kind: history.Spawn, Proc: name, PID: p.cmd.Process.Pid})
	go r.see(p, stdout)
	return p, nil
}

var errOver = errors.New("the run is over")

// see follows a process to its end.
func (r *runner) see(p *process, stdout io.Reader) {
	scanner := bufio.NewScanner(stdout)
	for scanner.Scan() {
		select {
		case p.lines <- scanner.Text():
		default: // nobody listens any more
		}
	}
	_ = p.cmd.Wait() // ProcessState says it
	e := p.exit()
	r.history.Add(e)
	r.mu.Lock()
	delete(r.live, p)
	over := r.over
	r.mu.Unlock()
	close(p.done)
	if !e.Ordered && !over {
		r.fail(fmt.Errorf("%s ended by itself: %s", p.name, e.How))
	}
}

// exit is the event of its end. An end is ordered if it is the one that the
// process was told to come to.
func (p *process) exit() history.Event {
	e := history.Event{Kind: history.Exit, Proc: p.name, How: p.cmd.ProcessState.String()}
	order := p.ordered()
	switch code := p.cmd.ProcessState.ExitCode(); {
	case order == syscall.SIGKILL:
		e.Ordered = true
	case order != 0 && code == 0:
		e.Ordered = true
	case order != 0 && code == int(exitUnacknowledged):
		e.Ordered, e.How = true, history.HowUnacknowledged
	}
	return e
}

func (p *process) ordered() syscall.Signal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.order
}

// signal sends s. An order to end is kept in mind.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	if s == syscall.SIGKILL || s == syscall.SIGTERM {
		p.order = s
	}
	p.mu.Unlock()
	_ = p.cmd.Process.Signal(s) // it may have ended
}

// mayEnd says that the process is told to end in another way than by a signal.
func (p *process) mayEnd() {
	p.mu.Lock()
	p.order = syscall.SIGTERM
	p.mu.Unlock()
}

// await waits for the end of the process.
func (p *process) await(ctx context.Context, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return fmt.Errorf("%s does not end within %v", p.name, patience)
	}
}

// listen waits for a line of the process's stdout.
func (p *process) listen(ctx context.Context, want string, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case line := <-p.lines:
		if line != want {
			return fmt.Errorf("%s says %q, not %q", p.name, line, want)
		}
		return nil
	case <-p.done:
		return fmt.Errorf("%s has ended before it said %q", p.name, want)
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return fmt.Errorf("%s does not say %q within %v", p.name, want, patience)
	}
}

// say tells a client to do something, and waits until it has done it.
func (p *process) say(ctx context.Context, line string, patience time.Duration) error {
	if _, err := fmt.Fprintln(p.stdin, line); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if err := p.listen(ctx, answered, patience); err != nil {
		return fmt.Errorf("told to %s: %w", line, err)
	}
	return nil
}

// killAll kills what still runs, waits until it is gone, and lets nothing
// start after it.
func (r *runner) killAll() {
	r.mu.Lock()
	r.over = true
	list := make([]*process, 0, len(r.live))
	for p := range r.live {
		list = append(list, p)
	}
	r.mu.Unlock()
	for _, p := range list {
		p.signal(syscall.SIGKILL)
	}
	for _, p := range list {
		<-p.done
	}
}
