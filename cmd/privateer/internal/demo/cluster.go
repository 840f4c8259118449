//go:build unix

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/privateer-mq/privateer/cmd/privateer/internal/proc"
)

const (
	startTimeout = 10 * time.Second // for the broker to listen
	stopGrace    = 2 * time.Second  // for a process to end by itself
)

// A cluster is the processes of the demo: a broker and its workers.
type cluster struct {
	cfg    Config
	script script
	runs   *runLog
	procs  proc.Set

	broker      *member
	front, back string // the broker's endpoints

	workers []*member
}

// A member is one process.
type member struct {
	number int // of a worker, from 1
	proc   *proc.Process
	log    *log
	fault  *fault // what was done to it; set by the goroutine that strikes
}

func (m *member) pid() int { return m.proc.Pid() }

// start starts the broker on free ports, then the workers.
func (c *cluster) start(ctx context.Context) error {
	var err error
	c.broker, err = c.launch("broker", "--frontend", "tcp://127.0.0.1:0", "--backend", "tcp://127.0.0.1:0",
		"--heartbeat", heartbeat.String(), "--log-format", "json")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-c.broker.log.listening:
	case <-c.broker.proc.Done():
		return c.explain(errors.New("the broker ended at once"))
	case <-ctx.Done():
		return c.explain(fmt.Errorf("the broker does not listen: %w", ctx.Err()))
	}
	c.front, c.back = c.broker.log.endpoints()
	for n := range c.cfg.Workers {
		args := append([]string{"worker", "--broker", c.back, "--service", service,
			"--concurrency", strconv.Itoa(concurrency), "--log-format", "json", "--"}, c.script.command...)
		m, err := c.launch(args...)
		if err != nil {
			return err
		}
		m.number = n + 1
		c.workers = append(c.workers, m)
	}
	return nil
}

// launch starts this binary with args, and without its environment's settings.
func (c *cluster) launch(args ...string) (*member, error) {
	m := &member{log: newLog()}
	cmd := exec.Command(c.cfg.Program)
	cmd.Args = append([]string{c.cfg.Name}, args...)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PRIVATEER_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "RUN_LOG="+c.runs.path)
	cmd.Stderr = m.log
	var err error
	if m.proc, err = c.procs.Start(cmd); err != nil {
		return nil, fmt.Errorf("%w: cannot start %s %s: %w", ErrInput, c.cfg.Program, args[0], err)
	}
	return m, nil
}

// watch ends the demo when the broker dies: nobody is meant to touch it.
func (c *cluster) watch(ctx context.Context, end context.CancelCauseFunc) {
	select {
	case <-c.broker.proc.Done():
		end(fmt.Errorf("the broker died: %w", c.broker.proc.Err()))
	case <-ctx.Done():
	}
}

// healthy is the n-th, counted round and round, of the workers that nothing
// was done to.
func (c *cluster) healthy(n int) *member {
	var list []*member
	for _, m := range c.workers {
		if m.fault == nil {
			list = append(list, m)
		}
	}
	return list[n%len(list)]
}

// stop ends every process: the well ones in good order, then all of them.
func (c *cluster) stop() {
	var wg sync.WaitGroup
	for _, m := range append(c.workers, c.broker) {
		if m != nil && m.fault == nil {
			wg.Go(func() { m.proc.Stop(stopGrace) })
		}
	}
	for _, m := range c.workers {
		if m.fault != nil {
			m.proc.Signal(syscall.SIGKILL)
		}
	}
	wg.Wait()
	c.procs.KillAll()
}

// explain adds the broker's last words to err.
func (c *cluster) explain(err error) error {
	if last := c.broker.log.last(); last != "" && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w; the broker's last line: %s", err, last)
	}
	return err
}
