package client

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/link/transport"
	"github.com/privateer-mq/privateer/protocol"
)

const (
	brokerDefault      = "tcp://127.0.0.1:5555"
	timeoutDefault     = 2500 * time.Millisecond
	retriesDefault     = 3
	deadlineDefault    = 30 * time.Second
	clientMaxDefault   = 64
	pipelineMaxDefault = 1024
	messageMaxDefault  = 64 << 20
	durationMax        = protocol.DurationMSMax * time.Millisecond
	retriesMax         = 1_000_000
	headerRoom         = 64 << 10 // what a frame may have beyond MaxMessage
)

// withDefaults returns a copy of c with its zero fields filled in.
func (c Config) withDefaults(inFlight int) Config {
	if len(c.Brokers) == 0 {
		c.Brokers = []string{brokerDefault}
	}
	c.Brokers = slices.Clone(c.Brokers)
	c.Timeout = cmp.Or(c.Timeout, timeoutDefault)
	c.Retries = max(cmp.Or(c.Retries, retriesDefault), 0)
	c.Deadline = cmp.Or(c.Deadline, deadlineDefault)
	c.MaxInFlight = cmp.Or(c.MaxInFlight, inFlight)
	c.MaxMessage = cmp.Or(c.MaxMessage, messageMaxDefault)
	return c
}

// validate names the first field that is out of bounds.
func (c Config) validate(inFlightMax int) error {
	switch {
	case len(c.Brokers) > clientcore.BrokersMax:
		return fmt.Errorf("client: Brokers has %d endpoints; at most %d are allowed", len(c.Brokers), clientcore.BrokersMax)
	case c.Timeout < time.Millisecond || c.Timeout > durationMax:
		return fmt.Errorf("client: Timeout is %v; it must be at least 1ms and at most %v", c.Timeout, durationMax)
	case c.Retries > retriesMax:
		return fmt.Errorf("client: Retries is %d; at most %d are allowed", c.Retries, retriesMax)
	case c.Deadline < time.Millisecond || c.Deadline > durationMax:
		return fmt.Errorf("client: Deadline is %v; it must be at least 1ms and at most %v", c.Deadline, durationMax)
	case c.MaxInFlight < 1 || c.MaxInFlight > inFlightMax:
		return fmt.Errorf("client: MaxInFlight is %d; it must be at least 1 and at most %d", c.MaxInFlight, inFlightMax)
	case c.MaxMessage < 1:
		return fmt.Errorf("client: MaxMessage is %d; it must be at least 1", c.MaxMessage)
	}
	if err := transport.Check(c.Transport); err != nil {
		return fmt.Errorf("client: Transport: %w", err)
	}
	for i, b := range c.Brokers {
		if strings.TrimSpace(b) == "" {
			return fmt.Errorf("client: Brokers[%d] is empty; name an endpoint such as %s", i, brokerDefault)
		}
		if slices.Contains(c.Brokers[:i], b) {
			return fmt.Errorf("client: Brokers names %s twice", b)
		}
	}
	return nil
}
