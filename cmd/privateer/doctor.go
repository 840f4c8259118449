package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/cmd/privateer/internal/doctor"
)

type doctorCommand struct {
	common

	Role    string   `default:"auto" enum:"auto,client,worker" placeholder:"auto" help:"Whose port it should be: client (the front), worker (the back), or auto, to find out."`
	Service string   `placeholder:"NAME" help:"Also look whether a worker serves it, and send it one request with an empty body: its handler runs."`
	Timeout duration `default:"5s" help:"Longest time all steps together may take."`
	JSON    bool     `help:"Print one JSON object instead of lines."`

	Endpoint string `arg:"" optional:"" default:"tcp://127.0.0.1:5555" env:"PRIVATEER_BROKER" help:"Front or back endpoint of a broker: tcp://host:port, host:port, or ipc://path."`
}

// Help is the detailed help.
func (*doctorCommand) Help() string {
	return `Each step is a line, OK, FAIL or – (not made), with the time it took: dns, tcp (or ipc), greeting (does ZeroMQ 4 listen?), mechanism (without keys?), socket (a ROUTER?), protocol (does it speak PRV1?), port (the one that was meant?), state (is it draining?), and with --service whether a worker is there, and a round trip. The last line names the first step that failed, and what to do.

Nothing is registered and, without --service, nothing is run.`
}

// Run examines the endpoint.
func (c *doctorCommand) Run() error {
	ctx, stop := untilSignal(func() {}, func() { os.Exit(exitFailed) })
	defer stop()
	endpoint, _, _ := strings.Cut(c.Endpoint, ",") // the variable may have a list, or nothing
	report, err := doctor.Check(ctx, doctor.Config{
		Endpoint: cmp.Or(strings.TrimSpace(endpoint), "tcp://127.0.0.1:5555"),
		Role:     map[string]doctor.Role{"client": doctor.Client, "worker": doctor.Worker}[c.Role],
		Service:  c.Service,
		Timeout:  time.Duration(c.Timeout),
	})
	switch {
	case err != nil:
		return usage(err)
	case errors.Is(ctx.Err(), context.Canceled):
		return errors.New("stopped")
	}
	if c.JSON {
		err = report.WriteJSON(os.Stdout)
	} else {
		err = report.WriteText(os.Stdout)
	}
	switch {
	case err != nil:
		return fmt.Errorf("cannot write to stdout: %w", err)
	case report.Failed != "":
		return &exit{exitFailed, nil}
	}
	return nil
}
