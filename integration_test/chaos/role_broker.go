package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/integration_test/chaos/history"
)

// lostWorkersMax is the broker's bound on attempts: so high that a request
// with generous time ends OK however many workers it has the bad luck to lose.
const lostWorkersMax = 50

// A role is what the three kinds of process have in common.
type role struct {
	flags *flag.FlagSet
	name  string
	dir   string
	level string

	history *history.Writer
	log     zerolog.Logger
}

func newRole(kind string) *role {
	r := &role{flags: flag.NewFlagSet(kind, flag.ContinueOnError)}
	r.flags.StringVar(&r.name, "name", "", "name of the process")
	r.flags.StringVar(&r.dir, "dir", "", "folder of the histories")
	r.flags.StringVar(&r.level, "log", "info", "level of the log")
	return r
}

// open reads the flags, opens the history, and has the process measured until
// ctx ends.
func (r *role) open(ctx context.Context, args []string) error {
	if err := r.flags.Parse(args); err != nil {
		return err
	}
	level, err := zerolog.ParseLevel(r.level)
	if err != nil {
		return err
	}
	zerolog.TimeFieldFormat = zerolog.TimeFormatUnixMicro
	// The log has the histories' clock, so that both can be read together.
	r.log = zerolog.New(os.Stderr).Level(level).Hook(zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Int64("t", history.Now())
	}))
	if r.history, err = history.NewWriter(r.dir, r.name); err != nil {
		return err
	}
	go gauge(ctx, r.history)
	return nil
}

// sayReady is what a process says on its stdout when it can be struck: it
// listens to signals, and a broker's ports are bound.
const sayReady = "ready"

// brokerRole is a broker.
func brokerRole(ctx context.Context, args []string) error {
	r := newRole("broker")
	front := r.flags.String("front", "", "endpoint for clients")
	back := r.flags.String("back", "", "endpoint for workers")
	heartbeat := r.flags.Duration("heartbeat", time.Second, "heartbeat")
	window := r.flags.Duration("window", 8*time.Second, "recovery window")
	drain := r.flags.Duration("drain", 10*time.Second, "drain time-out")
	counts := r.flags.Bool("count", false, "write down whom the bounds of connections have met")
	if err := r.open(ctx, args); err != nil {
		return err
	}
	cfg := broker.Config{
		Frontends: []string{*front}, Backends: []string{*back}, Heartbeat: *heartbeat, Liveness: liveness,
		RecoveryWindow: *window, DrainTimeout: *drain, MaxAttempts: lostWorkersMax, Logger: r.log,
	}
	if *counts {
		cfg.Admin = "127.0.0.1:0"
	}
	b, err := broker.New(cfg)
	if err != nil {
		return err
	}
	go func() {
		<-b.Ready()
		if *counts {
			go count(ctx, r.history, "http://"+b.AdminAddr()+"/metrics")
		}
		r.history.Add(history.Event{Kind: history.Ready})
		fmt.Println(sayReady)
	}()
	if err := b.Run(ctx); err != nil {
		return err
	}
	return r.history.Close()
}
