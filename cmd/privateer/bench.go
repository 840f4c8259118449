package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/cmd/privateer/internal/bench"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

type benchCommand struct {
	common
	connects

	Frontend string `default:"tcp://127.0.0.1:5555" shared:"PRIVATEER_BROKER" help:"Front endpoint of the broker."`
	Service  string `default:"bench" help:"Service that is asked; for serve: that is served."`

	Window   count          `default:"64" help:"Closed loop: requests that each client keeps in the air."`
	Rate     countOrZero    `default:"0" help:"Open loop: requests a second, all clients together, each latency counted from when it was due. 0: a closed loop."`
	Clients  count          `default:"1" help:"Clients, each with a connection of its own."`
	Duration duration       `default:"10s" help:"How long is measured."`
	Warmup   durationOrZero `default:"1s" help:"How long requests are sent before that."`
	Size     size           `default:"64B" help:"Bytes of each body."`
	Deadline duration       `default:"10s" help:"Deadline of each request."`
	JSON     bool           `help:"Print one JSON object."`
	CSV      bool           `name:"csv" help:"Print a line of names and a line of values."`

	Backend     []string       `sep:"none" default:"tcp://127.0.0.1:5556" shared:"PRIVATEER_BACKEND" help:"serve: back endpoint of a broker. May be given more than once."`
	Concurrency count          `default:"64" help:"serve: requests that it works on at a time."`
	Delay       durationOrZero `default:"0" help:"serve: how long each request takes."`

	Role string `arg:"" optional:"" help:"serve: be the worker that answers, with each request's own body. Without it: the client that measures."`
}

const (
	benchClientsMax = 1000
	benchInFlight   = 1_000_000 // what one pipeline may have open
	benchTryFor     = 5 * time.Second
)

// Help is the detailed help.
func (*benchCommand) Help() string {
	return `"privateer bench serve" is the worker, "privateer bench" sends requests to it and prints throughput and latencies. Any worker will do whose service --service names.

A closed loop (the default) slows down when the broker does: it finds the highest throughput. An open loop (--rate) does not, and shows what users would see: a stall counts against every request that was due in it.

Latencies are of the replies that were OK; the others are counted by code. Ctrl-C ends it early, and prints what there is. The progress of each second goes to stderr.`
}

// Run measures, or serves.
func (c *benchCommand) Run() error {
	if why := protocol.ValidService([]byte(c.Service)); why != "" {
		return usage(fmt.Errorf("--service: %s", why))
	}
	switch {
	case c.Role == "serve":
		return c.serve()
	case c.Role != "":
		return usage(fmt.Errorf("unexpected argument %s: write \"serve\", or nothing", c.Role))
	case c.JSON && c.CSV:
		return usage(errors.New("--json and --csv exclude each other: give one of them"))
	case c.Clients > benchClientsMax:
		return usage(fmt.Errorf("--clients: at most %d", benchClientsMax))
	case c.Window > benchInFlight:
		return usage(fmt.Errorf("--window: at most %d", benchInFlight))
	case int64(c.Size) > bodyBytesMax:
		return usage(fmt.Errorf("--size: at most %d MiB", bodyBytesMax>>20))
	}
	return c.measure()
}

func (c *benchCommand) measure() error {
	log := c.logger()
	ctx, stop := untilSignal(func() {}, func() { os.Exit(exitFailed) })
	defer stop()
	var askers []bench.Asker
	for range c.Clients {
		p, err := client.NewPipeline(c.config(log))
		if err != nil {
			return usage(fmt.Errorf("--frontend: %w", asFlag(c, err)))
		}
		defer p.Close()
		askers = append(askers, p)
	}
	cfg := bench.Config{
		Service: c.Service, Body: bytes.Repeat([]byte{'x'}, int(c.Size)),
		Rate: int(c.Rate), Window: int(c.Window), Warmup: time.Duration(c.Warmup), Duration: time.Duration(c.Duration),
		Progress: func(s bench.Second) { _ = s.WriteText(os.Stderr) },
	}
	if err := c.try(ctx, askers, cfg); err != nil {
		return err
	}
	result := bench.Run(ctx, askers, cfg)
	write := result.WriteText
	switch {
	case c.JSON:
		write = result.WriteJSON
	case c.CSV:
		write = result.WriteCSV
	}
	if err := write(os.Stdout); err != nil {
		return fmt.Errorf("cannot write to stdout: %w", err)
	}
	if result.OK == 0 {
		return &exit{exitFailed, nil}
	}
	return nil
}

func (c *benchCommand) config(log zerolog.Logger) client.Config {
	return client.Config{
		Brokers:     []string{c.Frontend},
		Transport:   c.Transport,
		Deadline:    time.Duration(c.Deadline),
		MaxInFlight: benchInFlight,
		Logger:      log,
	}
}

// try sends one request by each client, so that every connection stands, and a
// service that is not there is told at once.
func (c *benchCommand) try(ctx context.Context, askers []bench.Asker, cfg bench.Config) error {
	for _, a := range askers {
		_, err := a.Do(ctx, client.Request{Service: cfg.Service, Body: cfg.Body, Deadline: min(benchTryFor, time.Duration(c.Deadline))})
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return errors.New("stopped")
		default:
			return fmt.Errorf("the first request to service %q at %s: %w: do the broker and a worker (\"privateer bench serve\") run?", c.Service, c.Frontend, err)
		}
	}
	return nil
}

// serve answers until a signal.
func (c *benchCommand) serve() error {
	log, err := (&daemonFlags{common: c.common}).open()
	if err != nil {
		return err
	}
	defer log.end()
	echo := func(ctx context.Context, r *worker.Request) ([][]byte, error) {
		if c.Delay > 0 {
			timer := time.NewTimer(time.Duration(c.Delay))
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return r.Frames, nil
	}
	w, err := worker.New(worker.Config{
		Brokers: c.Backend, Transport: c.Transport, Services: []string{c.Service}, Concurrency: int(c.Concurrency), Logger: log.Logger,
	}, worker.FramesFunc(echo))
	if err != nil {
		return usage(c.backendError(err))
	}
	ctx, stop := log.untilSignal(func() {})
	defer stop()
	err = w.Run(ctx)
	if err != nil && ctx.Err() == nil {
		return usage(c.backendError(err))
	}
	return err
}

// backendError names the flags that are called otherwise in worker.Config.
func (c *benchCommand) backendError(err error) error {
	return asFlag(c, errors.New(strings.NewReplacer("Config.Brokers", "--backend", "Config.Services", "--service").Replace(err.Error())))
}
