package main

import (
	"context"
	"errors"
	"time"

	"github.com/privateer-mq/privateer/worker"
)

type workerCommand struct {
	common

	Broker       []string       `sep:"none" default:"tcp://127.0.0.1:5556" help:"Back endpoint of a broker. May be given more than once: it joins them all."`
	Service      []string       `sep:"none" default:"default" help:"Name of a service it offers. May be given more than once."`
	Concurrency  count          `default:"1" help:"Requests that it works on at a time."`
	TaskTimeout  durationOrZero `default:"0" help:"Longest time one request may take. 0: until its deadline."`
	ReconnectMax duration       `default:"2s" help:"Longest wait before it connects again."`
	DrainTimeout duration       `default:"10s" help:"How long it finishes what it holds once it is told to stop."`
	Parts        bool           `help:"Send each line of COMMAND's stdout at once, as a part of the reply. Clients that take no parts get them all at the end."`
	Echo         bool           `help:"Answer each request with its own body."`

	Command []string `arg:"" optional:"" help:"Program to run for each request, with its arguments, after \"--\"."`
}

// Help is the detailed help.
func (*workerCommand) Help() string {
	return `COMMAND gets the body on its stdin; its stdout is the reply. It need not read its stdin.
Exit code 0 is OK. 75 asks for the request to be handed out again. Any other is FAILED, with the end of its stderr as the message.

In its environment are PRIVATEER_REQUEST_ID, PRIVATEER_SERVICE, PRIVATEER_ATTEMPT (2 and above: an earlier attempt may have run) and PRIVATEER_DEADLINE_MS, the time it has left.

It runs in a process group of its own. The group gets SIGTERM and soon after SIGKILL when the request is cancelled or out of time, or when the worker has to end; what COMMAND leaves running when it ends is killed too.`
}

// Run runs the worker until a signal.
func (c *workerCommand) Run() error {
	log := c.logger()
	handler, end, err := c.handler()
	if err != nil {
		return usage(err)
	}
	w, err := worker.New(worker.Config{
		Brokers:      c.Broker,
		Services:     c.Service,
		Concurrency:  int(c.Concurrency),
		TaskTimeout:  time.Duration(c.TaskTimeout),
		ReconnectMax: time.Duration(c.ReconnectMax),
		DrainTimeout: time.Duration(c.DrainTimeout),
		Logger:       log,
	}, handler)
	if err != nil {
		return usage(asFlag(c, err))
	}
	ctx, stop := untilSignal(func() { sayDraining(log) }, func() {
		end()
		endNow(log)
	})
	defer stop()
	defer end()
	err = w.Run(ctx)
	if err != nil && ctx.Err() == nil {
		return usage(asFlag(c, err))
	}
	return err
}

// handler is what answers the requests, and what ends all that it still runs.
func (c *workerCommand) handler() (h worker.Handler, end func(), err error) {
	switch {
	case c.Echo && len(c.Command) > 0:
		return nil, nil, errors.New("--echo and a COMMAND exclude each other: give one of them")
	case c.Parts && len(c.Command) == 0:
		return nil, nil, errors.New("--parts is about the output of a COMMAND: give one")
	case c.Echo:
		echo := func(_ context.Context, r *worker.Request) ([][]byte, error) { return r.Frames, nil }
		return worker.FramesFunc(echo), func() {}, nil
	case len(c.Command) == 0:
		return nil, nil, errors.New("nothing to answer with: give --echo, or a program, as in \"privateer worker -- sha256sum\"")
	}
	p, err := newProgram(c.Command)
	if err != nil {
		return nil, nil, err
	}
	p.parts = c.Parts
	return p, p.procs.KillAll, nil
}
