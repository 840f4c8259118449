package main

import (
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/client"
)

// pingTimeout is how long ping waits, below what health checks allow.
const pingTimeout = 3 * time.Second

type pingCommand struct {
	common
	connects

	Broker string `default:"tcp://127.0.0.1:5555" shared:"PRIVATEER_BROKER" help:"Front endpoint of the broker."`
}

// Run asks the broker and prints one line of key=value pairs.
func (c *pingCommand) Run() error {
	cl, err := client.New(client.Config{
		Brokers:   []string{c.Broker},
		Transport: c.Transport,
		Timeout:   pingTimeout / 3,
		Deadline:  pingTimeout,
		Logger:    c.logger(),
	})
	if err != nil {
		return usage(asFlag(c, err))
	}
	defer cl.Close()
	ctx, stop := untilSignal(func() {}, func() {})
	defer stop()
	info, err := cl.Ping(ctx)
	if err != nil {
		return &exit{exitNotStarted, fmt.Errorf("%s does not answer: %w", c.Broker, err)}
	}
	state := "serving"
	if info.Draining {
		state = "draining"
	}
	return toStdout(fmt.Sprintf("broker=%s state=%s epoch=%016x protocol=%d round_trip_ms=%.1f\n",
		c.Broker, state, info.Epoch, info.Version, milliseconds(info.RoundTrip)))
}
