package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/integration_test/chaos/history"
)

// The two ways to ask, as the flag -mode names them.
const (
	modeReq      = "req"      // client.Client.Do: a REQ socket for each request under way
	modePipeline = "pipeline" // client.Pipeline: all over one DEALER socket
)

const (
	// reqInFlight bounds the requests, and so the sockets, of a REQ client.
	reqInFlight = 48
	// probes is how many requests a client asks after the faults.
	probes = 10
)

// What the runner says to a client on its stdin, a line each. The client
// answers with "done" when it has done it.
const (
	sayWarm  = "warm"  // ask for as many at once as may be under way
	sayGo    = "go"    // begin with the load
	sayStop  = "stop"  // end it, and wait for every outcome
	sayProbe = "probe" // ask for a few that must end OK
	sayEnd   = "end"   // end in good order
	answered = "done"
)

// An asker is a client of either kind.
type asker interface {
	Do(context.Context, client.Request) (client.Reply, error)
	Close() error
}

// clientRole is a client. It does what it is told on its stdin, and ends when
// that ends.
func clientRole(ctx context.Context, args []string) error {
	r := newRole("client")
	endpoint := r.flags.String("broker", "", "front endpoint")
	mode := r.flags.String("mode", modeReq, "req or pipeline")
	rate := r.flags.Int("rate", 40, "requests a second")
	seed := r.flags.Uint64("seed", 1, "what the requests are drawn from")
	if err := r.open(ctx, args); err != nil {
		return err
	}
	a, err := newAsker(*mode, client.Config{Brokers: []string{*endpoint}, Logger: r.log})
	if err != nil {
		return err
	}
	l := newLoad(a, r.history, r.name, *rate, *seed)
	fmt.Println(sayReady)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch line := lines.Text(); line {
		case sayWarm:
			l.burst(ctx, history.Warm, reqInFlight)
		case sayGo:
			l.begin(ctx)
		case sayStop:
			l.stop()
		case sayProbe:
			l.burst(ctx, history.Probe, probes)
		case sayEnd:
			if err := a.Close(); err != nil {
				return err
			}
			return r.history.Close()
		default:
			return fmt.Errorf("told to %q", line)
		}
		fmt.Println(answered)
	}
	return errors.Join(errors.New("stdin has ended"), lines.Err())
}

func newAsker(mode string, cfg client.Config) (asker, error) {
	switch mode {
	case modeReq:
		cfg.MaxInFlight = reqInFlight
		return client.New(cfg)
	case modePipeline:
		return client.NewPipeline(cfg)
	}
	return nil, fmt.Errorf("mode %q", mode)
}

// generousTime is the deadline of requests that must end OK in spite of all
// faults: a few recovery windows, and more than any calm that they wait for.
const generousTime = time.Minute

// probeTime is the deadline of requests that are asked when the faults are
// over: three heartbeats, the longest wait before a reconnect, the time-out of
// a connect, one try of the client, and room for a loaded machine.
const probeTime = 3*defaultHeartbeat + 2*time.Second + 3*time.Second + 2500*time.Millisecond + 2*time.Second
