package worker

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/internal/link/transport"
	"github.com/privateer-mq/privateer/protocol"
)

// The defaults of Config's fields.
const (
	defaultBroker       = "tcp://127.0.0.1:5556"
	defaultService      = "default"
	defaultReconnectMax = 2 * time.Second
	defaultDrainTimeout = 10 * time.Second
	defaultRetainBytes  = 16 << 20
)

const (
	brokersMax       = 64
	reconnectMaxMin  = 10 * time.Millisecond
	reconnectMaxMax  = time.Hour
	serviceBytesSum  = 48 << 10 // all names of one READY, in its header frame
	durationMax      = protocol.DurationMSMax * time.Millisecond
	retainBytesLimit = 1 << 40
)

// withDefaults is a copy of c with its zero values filled in.
func (c Config) withDefaults() Config {
	c.Brokers = append([]string(nil), c.Brokers...)
	if len(c.Brokers) == 0 {
		c.Brokers = []string{defaultBroker}
	}
	c.Services = append([]string(nil), c.Services...)
	if len(c.Services) == 0 {
		c.Services = []string{defaultService}
	}
	c.Concurrency = cmp.Or(c.Concurrency, 1)
	c.ReconnectMax = cmp.Or(c.ReconnectMax, defaultReconnectMax)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, defaultDrainTimeout)
	c.RetainBytes = cmp.Or(c.RetainBytes, defaultRetainBytes)
	return c
}

// info is what the worker says of itself. A machine's name that cannot be said is
// left out.
func (c *Config) info() *protocol.WorkerInfo {
	host, err := os.Hostname()
	if err != nil || protocol.ValidText(host) != "" {
		host = ""
	}
	return &protocol.WorkerInfo{Label: c.Label, Host: host, Process: uint32(os.Getpid()), Version: c.Version}
}

// validate says which field of a filled-in Config is out of its bounds.
func (c *Config) validate() error {
	switch {
	case len(c.Brokers) > brokersMax:
		return fmt.Errorf("Config.Brokers: %d endpoints; at most %d", len(c.Brokers), brokersMax)
	case c.Concurrency < 1 || c.Concurrency > protocol.CreditMax:
		return fmt.Errorf("Config.Concurrency: %d; want 1 to %d", c.Concurrency, protocol.CreditMax)
	case c.TaskTimeout < 0 || c.TaskTimeout > durationMax:
		return fmt.Errorf("Config.TaskTimeout: %v; want 0 (no bound) to %v", c.TaskTimeout, durationMax)
	case c.ReconnectMax < reconnectMaxMin || c.ReconnectMax > reconnectMaxMax:
		return fmt.Errorf("Config.ReconnectMax: %v; want %v to %v", c.ReconnectMax, reconnectMaxMin, reconnectMaxMax)
	case c.DrainTimeout < 0 || c.DrainTimeout > durationMax:
		return fmt.Errorf("Config.DrainTimeout: %v; want 0 (the default, %v) to %v", c.DrainTimeout, defaultDrainTimeout, durationMax)
	case c.RetainBytes < 0 || c.RetainBytes > retainBytesLimit:
		return fmt.Errorf("Config.RetainBytes: %d; want 1 to %d", c.RetainBytes, int64(retainBytesLimit))
	}
	if why := protocol.ValidText(c.Label); c.Label != "" && why != "" {
		return fmt.Errorf("Config.Label: %q %s", c.Label, why)
	}
	if why := protocol.ValidText(c.Version); c.Version != "" && why != "" {
		return fmt.Errorf("Config.Version: %q %s", c.Version, why)
	}
	if err := transport.Check(c.Transport); err != nil {
		return fmt.Errorf("Config.Transport: %w", err)
	}
	if err := c.validateBrokers(); err != nil {
		return err
	}
	return c.validateServices()
}

func (c *Config) validateBrokers() error {
	seen := map[string]bool{}
	for _, b := range c.Brokers {
		scheme, rest, ok := strings.Cut(b, "://")
		switch {
		case !ok || rest == "" || scheme != "tcp" && scheme != "ipc" && scheme != "mem":
			return fmt.Errorf("Config.Brokers: %q; want tcp://host:port, ipc://path or mem://name", b)
		case seen[b]:
			return fmt.Errorf("Config.Brokers: %q is named twice", b)
		}
		seen[b] = true
	}
	return nil
}

func (c *Config) validateServices() error {
	if len(c.Services) > protocol.ServicesMax {
		return fmt.Errorf("Config.Services: %d names; at most %d", len(c.Services), protocol.ServicesMax)
	}
	sum, seen := 0, map[string]bool{}
	for _, s := range c.Services {
		if why := protocol.ValidService([]byte(s)); why != "" {
			return fmt.Errorf("Config.Services: %q: %s", s, why)
		}
		if seen[s] {
			return fmt.Errorf("Config.Services: %q is named twice", s)
		}
		seen[s] = true
		sum += 3 + len(s)
	}
	if sum > serviceBytesSum {
		return fmt.Errorf("Config.Services: the names are %d bytes together; at most %d", sum, serviceBytesSum)
	}
	return nil
}
