package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/mattn/go-isatty"

	"github.com/privateer-mq/privateer/cmd/privateer/internal/demo"
)

type demoCommand struct {
	common

	Dir      string `default:"." placeholder:"DIR" help:"Directory whose files are sent; not .git, no symlinks, nothing over 1 MiB."`
	Workers  count  `default:"4" help:"Worker processes, at least 3: one is killed, one is frozen."`
	Requests count  `default:"2000" help:"Requests in all, at least 50. The files are sent as often as it takes."`
}

// Help is the detailed help.
func (*demoCommand) Help() string {
	return `It starts a broker and worker processes that run sha256sum, sends them the files under DIR, kills one worker with SIGKILL and freezes another with SIGSTOP while each of them holds a request, and compares every reply with a digest that it computes itself.

Its last line is "demo: requests=N ok=N lost=N wrong=N repeated=N recovery_ms=N": repeated counts the runs beyond the first of a request; recovery_ms is the longest time from a blow until the requests of that worker were answered.`
}

// Run plays the demo.
func (c *demoCommand) Run() error {
	switch {
	case c.Workers < demo.WorkersMin:
		return usage(fmt.Errorf("--workers: at least %d, for one is killed and one is frozen", demo.WorkersMin))
	case c.Requests < demo.RequestsMin:
		return usage(fmt.Errorf("--requests: at least %d, for the workers must be hit while they work", demo.RequestsMin))
	}
	program, err := os.Executable()
	if err != nil {
		return usage(fmt.Errorf("cannot find this program's own file: %w", err))
	}
	ctx, stop := untilSignal(func() {}, func() { os.Exit(exitFailed) }) // its processes die with it
	defer stop()
	out := &checked{Writer: os.Stdout}
	err = demo.Run(ctx, demo.Config{
		Dir:      c.Dir,
		Workers:  int(c.Workers),
		Requests: int(c.Requests),
		Program:  program,
		Name:     os.Args[0],
		Out:      out,
		Terminal: isatty.IsTerminal(os.Stdout.Fd()),
	})
	switch {
	case errors.Is(err, demo.ErrInput):
		return usage(err)
	case ctx.Err() != nil:
		return errors.New("stopped; every process it started is gone")
	case err == nil:
		return notPrinted(out.err)
	}
	return err
}
