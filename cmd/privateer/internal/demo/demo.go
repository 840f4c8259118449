//go:build unix

// Package demo plays the main job on real input: worker processes hash the
// files of a directory; one is killed and another frozen while they hold
// requests; every reply is compared with a digest computed here.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/privateer-mq/privateer/client"
)

// WorkersMin is the least number of workers: one is killed, one is frozen, one
// is left.
const WorkersMin = 3

// RequestsMin is the least number of requests: with fewer, the work would be
// over before a fault could hit it.
const RequestsMin = 50

const (
	service     = "sha256"
	concurrency = 2                      // requests per worker process
	heartbeat   = 300 * time.Millisecond // with liveness 3, a frozen worker is found in a second
	fileMax     = 1 << 20                // the broker's default --max-message
)

// Config says what to play.
type Config struct {
	Dir      string
	Workers  int
	Requests int
	// Program is this binary, and Name the argument 0 to start it with.
	Program, Name string
	// Out takes the progress, the table and the last line. Terminal says that
	// a line on it can be written over.
	Out      io.Writer
	Terminal bool
}

// ErrInput is wrapped by errors about the directory or the machine: nothing
// was played.
var ErrInput = errors.New("cannot play the demo")

// Run plays the demo. The error says what was lost or wrong, or that a fault
// missed. Every process it started is gone when it returns.
func Run(ctx context.Context, cfg Config) error {
	files, err := collect(cfg.Dir, fileMax, cfg.Requests)
	if err != nil {
		return err
	}
	script, err := hashScript()
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "privateer-demo-")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInput, err)
	}
	defer os.RemoveAll(tmp)
	runs := &runLog{path: filepath.Join(tmp, "runs")}

	c := &cluster{cfg: cfg, script: script, runs: runs}
	defer c.stop()
	if err := c.start(ctx); err != nil {
		return err
	}
	cl, err := client.New(client.Config{Brokers: []string{c.front}, MaxInFlight: window(cfg)})
	if err != nil {
		return err
	}
	defer cl.Close()

	s := &screen{out: cfg.Out, terminal: cfg.Terminal}
	s.line("%d files under %s%s; %d requests to %d worker processes running %q",
		len(files.paths), cfg.Dir, files.skippedClause(), cfg.Requests, cfg.Workers, script.name)
	l := newLoad(cl, files, cfg)
	faults, err := play(ctx, c, l, s)
	s.clear()
	if err != nil {
		return c.explain(err)
	}
	return s.report(c, l, faults)
}

func window(cfg Config) int { return 2 * concurrency * cfg.Workers }

// play sends the load and strikes while it runs.
func play(ctx context.Context, c *cluster, l *load, s *screen) ([]*fault, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go c.watch(ctx, cancel)
	loadDone := make(chan struct{})
	go func() {
		defer close(loadDone)
		l.run(ctx)
	}()
	struck := make(chan []*fault, 1)
	go func() { struck <- strikeAll(ctx, c, l, s, loadDone) }()

	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-tick.C:
			s.progress(l, c)
		case <-loadDone:
			running = false
		}
	}
	faults := <-struck
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return faults, nil
}
