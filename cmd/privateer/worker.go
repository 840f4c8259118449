package main

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/worker"
)

type workerCommand struct {
	daemonFlags
	connects

	Broker       []string       `sep:"none" default:"tcp://127.0.0.1:5556" shared:"PRIVATEER_BACKEND" help:"Back endpoint of a broker. May be given more than once: it joins them all."`
	Service      []string       `sep:"none" default:"default" help:"Name of a service it offers. May be given more than once."`
	Label        string         `placeholder:"NAME" help:"What people call it, where they see it: in \"privateer workers\", on the page, in the broker's log. Without it they see its host and pid."`
	Concurrency  count          `default:"1" help:"Requests that it works on at a time."`
	TaskTimeout  durationOrZero `default:"0" help:"Longest time one request may take. 0: until its deadline."`
	ReconnectMax duration       `default:"2s" help:"Longest wait before it connects again."`
	DrainTimeout duration       `default:"10s" help:"How long it finishes what it holds once it is told to stop."`
	SpawnRetry   durationOrZero `default:"1m" help:"How long it goes on trying while COMMAND cannot be started; then it ends with an error. 0: at once."`
	OnSignal     string         `default:"retry" enum:"retry, fail" placeholder:"retry" help:"What becomes of a request whose COMMAND was ended from outside, by SIGKILL, SIGTERM, SIGINT or SIGHUP, or by any signal while the worker drains: retry, it is handed out again, up to the broker's --max-attempts; fail, it is FAILED."`
	Parts        bool           `help:"Send each line of COMMAND's stdout at once, as a part of the reply. Clients that take no parts get them all at the end."`
	Echo         bool           `help:"Answer each request with its own body."`

	Command []string `arg:"" optional:"" help:"Program to run for each request, with its arguments, after \"--\"."`
}

// Help is the detailed help.
func (*workerCommand) Help() string {
	return `COMMAND gets the body on its stdin; its stdout is the reply. It need not read its stdin.
Exit code 0 is OK. 75 asks for the request to be handed out again. Any other is FAILED, with the end of its stderr as the message; so is the end by a signal, but for those of --on-signal. (A shell says 128 and the signal's number of a program of its own that was killed: that is an exit code.)

A COMMAND that cannot be started (it is not there, not executable, in the wrong format) has done nothing: its request goes to another worker, at no attempt. The worker says so and leaves its brokers for 1s, then 2s, 4s, up to 30s, until it can be started again, or --spawn-retry is over. Work that runs is not cut off.

In its environment are PRIVATEER_REQUEST_ID, PRIVATEER_SERVICE, PRIVATEER_ATTEMPT (2 and above: an earlier attempt may have run) and PRIVATEER_DEADLINE_MS, the time it has left.

It runs in a session and process group of its own. The group gets SIGTERM and soon after SIGKILL when the request is cancelled or out of time, or when the worker has to end; what COMMAND leaves running when it ends is killed too, and all of it when the worker is killed, by a small process beside it, which on Linux also finds what has left the group, as a daemon does. Out of reach is what has left the group when COMMAND ends by itself, and what has cleared its environment; a container, or systemd, ends that with the worker.`
}

// Run runs the worker until a signal.
func (c *workerCommand) Run() error {
	log, err := c.open()
	if err != nil {
		return err
	}
	defer log.end()
	b := &breaker{retry: time.Duration(c.SpawnRetry)}
	handler, p, err := c.handler(log.Logger, b)
	if err != nil {
		return usage(err)
	}
	end := func() {}
	if p != nil {
		end = p.procs.KillAll
		if err := p.procs.OwnTrees(); err != nil {
			log.Warn().Err(err).Str("state", "no-guard").Msg("what COMMAND has started goes on if this worker is killed with SIGKILL")
		}
	}
	ctx, stop := log.untilSignal(end)
	defer stop()
	if p != nil {
		p.ending = func() bool { return ctx.Err() != nil }
	}
	defer end()
	for {
		leaving, forget := b.watch(ctx)
		err := c.join(leaving, log.Logger, handler)
		left := leaving.Err() != nil
		forget()
		if ctx.Err() != nil || !left {
			return err
		}
		if err != nil {
			log.Warn().Err(err).Str("state", "left").Msg("left the brokers, not in good order")
		}
		if goOn, err := c.rest(ctx, log.Logger, b); !goOn {
			return err
		}
	}
}

// join serves until ctx ends.
func (c *workerCommand) join(ctx context.Context, log zerolog.Logger, handler worker.Handler) error {
	j := &joining{log: log, joined: map[string]bool{}, lost: map[string]time.Time{}}
	w, err := worker.New(worker.Config{
		Brokers:      c.Broker,
		Transport:    c.Transport,
		Services:     c.Service,
		Label:        c.Label,
		Version:      thisBinary().Version,
		Concurrency:  int(c.Concurrency),
		TaskTimeout:  time.Duration(c.TaskTimeout),
		ReconnectMax: time.Duration(c.ReconnectMax),
		DrainTimeout: time.Duration(c.DrainTimeout),
		Hooks:        j.hooks(),
		Logger:       log,
	}, handler)
	if err != nil {
		return usage(asFlag(c, err))
	}
	watching, done := context.WithCancel(ctx)
	defer done()
	for _, broker := range c.Broker {
		go j.watch(watching, broker)
	}
	err = w.Run(ctx)
	if err != nil && ctx.Err() == nil {
		return usage(asFlag(c, err))
	}
	return err
}

// rest is away until COMMAND may be tried again, and is there. It reports whether
// the worker is to go on.
func (c *workerCommand) rest(ctx context.Context, log zerolog.Logger, b *breaker) (goOn bool, err error) {
	for {
		if goOn, err := b.rest(ctx); !goOn {
			return false, err
		}
		_, err := lookPath(c.Command[0])
		if err == nil {
			return true, nil
		}
		sayUnstarted(log, b.failed(time.Now(), err))
	}
}

// handler is what answers the requests, and the program that it runs, if it runs one.
func (c *workerCommand) handler(log zerolog.Logger, b *breaker) (h worker.Handler, p *program, err error) {
	switch {
	case c.Echo && len(c.Command) > 0:
		return nil, nil, errors.New("--echo and a COMMAND exclude each other: give one of them")
	case c.Parts && len(c.Command) == 0:
		return nil, nil, errors.New("--parts is about the output of a COMMAND: give one")
	case c.Echo:
		echo := func(_ context.Context, r *worker.Request) ([][]byte, error) { return r.Frames, nil }
		return worker.FramesFunc(echo), nil, nil
	case len(c.Command) == 0:
		return nil, nil, errors.New("nothing to answer with: give --echo, or a program, as in \"privateer worker -- sha256sum\"")
	}
	p, err = newProgram(c.Command, log, b)
	if err != nil {
		return nil, nil, err
	}
	p.parts, p.handOn = c.Parts, c.OnSignal == "retry"
	return p, p, nil
}
