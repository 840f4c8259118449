package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/privateer-mq/privateer/cmd/privateer/internal/proc"
	"github.com/privateer-mq/privateer/internal/conformance"
)

type conformanceCommand struct {
	common
	connects

	Frontend string   `default:"tcp://127.0.0.1:5555" help:"Front endpoint of the broker to check. For client: endpoint to bind."`
	Backend  string   `default:"tcp://127.0.0.1:5556" help:"Back endpoint of the broker to check. For worker: endpoint to bind."`
	Service  string   `placeholder:"NAME" help:"Service that the worker offers, or that the client asks. For broker: what the names that it makes up begin with."`
	Timeout  duration `default:"1m" help:"Longest time all checks together may take."`
	JSON     bool     `help:"Print one JSON object instead of a table."`

	Role    string   `arg:"" optional:"" help:"What is checked: broker, worker or client. vectors prints the messages of protocol/testdata/vectors.json."`
	Command []string `arg:"" optional:"" help:"Worker or client to start, with its arguments, after \"--\". {} stands for the endpoint."`
}

// Help is the detailed help.
func (*conformanceCommand) Help() string {
	return `Whether a program in any language keeps docs/protocol.md: each rule is checked by a live script, and is a line of the table.

broker: a running broker; the checks are its clients and workers. worker: it must answer each request with its body; a handler that takes 300 ms shows more than one that is over at once. client: it must make one request after another until it is stopped, and go on after an error.

COMMAND finds the endpoint in PRIVATEER_BROKER, too, and is ended afterwards. Without it the first worker or client that comes within 30 s is checked.`
}

// Run makes the checks.
func (c *conformanceCommand) Run() error {
	if c.Role == "vectors" {
		_, err := os.Stdout.Write(conformance.Vectors())
		return err
	}
	check := map[string]func(context.Context, conformance.Config) (*conformance.Report, error){
		"broker": conformance.Broker, "worker": conformance.Worker, "client": conformance.Client}[c.Role]
	switch {
	case check == nil:
		return usage(errors.New("say what is to be checked: broker, worker or client; or vectors"))
	case c.Role == "broker" && len(c.Command) > 0:
		return usage(errors.New("a COMMAND goes with worker and client only: start the broker first"))
	}
	ctx, stop := untilSignal(func() {}, func() { os.Exit(exitFailed) }) // COMMAND dies with it
	defer stop()
	var started proc.Set
	defer started.KillAll()
	report, err := check(ctx, c.config(&started))
	switch {
	case ctx.Err() != nil:
		return errors.New("stopped")
	case err != nil:
		return usage(err)
	}
	if c.JSON {
		err = report.WriteJSON(os.Stdout)
	} else {
		err = report.WriteTable(os.Stdout)
	}
	switch {
	case err != nil:
		return fmt.Errorf("cannot write to stdout: %w", err)
	case report.Count(conformance.Fail) > 0:
		return &exit{exitFailed, nil}
	}
	return nil
}

func (c *conformanceCommand) config(started *proc.Set) conformance.Config {
	log := c.logger()
	cfg := conformance.Config{
		Transport: c.Transport, Frontend: c.Frontend, Backend: c.Backend, Service: c.Service, Timeout: time.Duration(c.Timeout),
		Listening: func(endpoint string) {
			log.Info().Str("state", "listening").Str("endpoint", endpoint).Msg("waiting for the " + c.Role)
		},
	}
	if len(c.Command) > 0 {
		cfg.Start = func(endpoint string) (conformance.Process, error) { return c.start(started, endpoint) }
	}
	return cfg
}

// start starts COMMAND. What it prints goes to stderr.
func (c *conformanceCommand) start(started *proc.Set, endpoint string) (conformance.Process, error) {
	args := slices.Clone(c.Command)
	for i := range args {
		if args[i] == "{}" {
			args[i] = endpoint
		}
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "PRIVATEER_BROKER="+endpoint)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	p, err := started.Start(cmd)
	if err != nil { // not "return started.Start(cmd)": a nil *Process is no nil Process
		return nil, err
	}
	return p, nil
}
