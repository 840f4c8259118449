package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	workersMax  = 64
	againDelay  = 300 * time.Millisecond // before a process that has ended is started again
	stopTimeout = 15 * time.Second       // for a process to stop, before it is killed
)

type allCommand struct {
	Workers  int           `default:"3" help:"How many workers, 1 to 64."`
	Pause    time.Duration `default:"500ms" help:"Workers rest so long after each step: time to look, and to kill one."`
	HTTP     string        `default:"127.0.0.1:8080" help:"Address of the web front."`
	Front    string        `default:"tcp://127.0.0.1:5555" help:"The broker's endpoint for clients."`
	Back     string        `default:"tcp://127.0.0.1:5556" help:"The broker's endpoint for workers."`
	Recovery time.Duration `default:"8s" help:"How long a broker that was started again waits to hear what workers hold."`
}

// Run starts all the processes and starts again each that ends, until ctx is done.
func (a *allCommand) Run(ctx context.Context) error {
	if a.Workers < 1 || a.Workers > workersMax {
		return fmt.Errorf("--workers is %d; want 1 to %d", a.Workers, workersMax)
	}
	ctx, fail := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer fail(nil)
	// keep blocks until the process is ready. What its first line says goes to
	// into: if it was given port 0, the one after it must listen where it did.
	keep := func(args func() []string, format string, into ...any) {
		ready := make(chan struct{})
		running.Go(func() {
			for first := true; ctx.Err() == nil; first = false {
				err := run(ctx, args(), func(line string) {
					if !first {
						return
					}
					if _, err := fmt.Sscanf(line, format, into...); err != nil {
						fail(fmt.Errorf("%s says %q: %w", args()[0], line, err))
					}
					close(ready)
				})
				if err != nil {
					fail(err)
				}
				select {
				case <-time.After(againDelay):
				case <-ctx.Done():
				}
			}
		})
		select {
		case <-ready:
		case <-ctx.Done():
		}
	}
	var pid int
	keep(func() []string {
		return []string{"broker", "--front", a.Front, "--back", a.Back, "--recovery", a.Recovery.String()}
	}, brokerReady, &pid, &a.Front, &a.Back)
	for range a.Workers {
		keep(func() []string { return []string{"worker", "--back", a.Back, "--pause", a.Pause.String()} }, workerReady, &pid)
	}
	keep(func() []string { return []string{"web", "--front", a.Front, "--http", a.HTTP} }, webReady, &pid, &a.HTTP)
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// run runs this program with other arguments until it ends, or ctx does, and
// shows its output. Its first line, which says that it is ready, goes to ready.
// An error says that it did not get as far as that.
func run(ctx context.Context, args []string, ready func(line string)) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"--child"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // it stays open until this process ends, however that ends
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		return fmt.Errorf("%s does not start: %w", args[0], cmd.Wait()) // it has said why
	}
	ready(lines.Text())
	for more := true; more; more = lines.Scan() {
		fmt.Println(lines.Text())
	}
	_ = cmd.Wait() // ProcessState says it
	fmt.Printf("%s %d has ended: %v\n", args[0], cmd.Process.Pid, cmd.ProcessState)
	return nil
}
