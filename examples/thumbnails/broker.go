package main

import (
	"context"
	"time"

	"github.com/privateer-mq/privateer/broker"
)

// brokerReady is the first line of a broker's output: its pid and two endpoints.
const brokerReady = "broker %d: clients at %s workers at %s"

type brokerCommand struct {
	Front    string        `default:"tcp://127.0.0.1:5555" help:"Endpoint for clients."`
	Back     string        `default:"tcp://127.0.0.1:5556" help:"Endpoint for workers."`
	Recovery time.Duration `default:"8s" help:"How long after its start to wait to hear what workers hold."`
}

// Run serves until ctx is done.
func (c *brokerCommand) Run(ctx context.Context) error {
	b, err := broker.New(broker.Config{
		Frontends:      []string{c.Front},
		Backends:       []string{c.Back},
		MaxMessage:     imageBytesMax, // an image is a request's one frame
		MaxQueue:       1000,
		MaxQueueBytes:  512 << 20,
		RecoveryWindow: c.Recovery,
		Logger:         logger,
	})
	if err != nil {
		return err
	}
	go func() {
		<-b.Ready()
		front, back := b.Addrs()
		say("broker", "clients at %s workers at %s", front, back)
	}()
	return b.Run(ctx)
}
