package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/client"
)

// parts sends one request and writes its reply as it comes.
func (c *requestCommand) parts(log zerolog.Logger, r client.Request) error {
	cfg, w := c.config(log), &waitNote{out: os.Stderr, after: sayWaitingAfter}
	cfg.Hooks.Accepted = w.accepted
	p, err := client.NewPipeline(cfg)
	if err != nil {
		return usage(asFlag(c, err))
	}
	defer p.Close()
	ctx, stop := untilSignal(func() {}, func() { os.Exit(exitMaybe) })
	defer stop()
	o, err := takeParts(ctx, p, r, os.Stdout, os.Stderr)
	w.done()
	if o.misuse != nil {
		return usage(o.misuse)
	}
	fmt.Fprintln(os.Stderr, o)
	if err != nil {
		return unwritten(o, err)
	}
	sayWhyNot(ctx, o, c.Broker)
	return o.exit()
}

// takeParts writes the parts as they come. Where they cannot be written it takes the
// rest all the same: the request has an outcome, and werr says the other thing.
func takeParts(ctx context.Context, p *client.Pipeline, r client.Request, out, notes io.Writer) (o outcome, werr error) {
	start := time.Now()
	for part, err := range p.Stream(ctx, r) {
		if part.Restarted {
			fmt.Fprintln(notes, "the reply starts again: what came so far is of no use")
		}
		for _, f := range part.Frames {
			if werr == nil {
				_, werr = out.Write(f)
			}
		}
		if err != nil || part.Last {
			return newOutcome(ctx, start, part.Reply, err), werr
		}
	}
	return outcome{}, werr // not reached: the last part or an error ends the sequence
}

// A liner cuts what is written to it into lines and sends each, with its end,
// as a part of a reply. What is left at the end is rest.
type liner struct {
	send func(frames ...[]byte) error
	over func(error)
	max  int // bytes of a line
	rest []byte
	gone bool
}

func (l *liner) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for !l.gone {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			break
		}
		line := bytes.Clone(l.rest[:i+1])
		l.rest = l.rest[:copy(l.rest, l.rest[i+1:])]
		l.fail(l.send(line))
	}
	if len(l.rest) > l.max {
		l.fail(fmt.Errorf("a line of the reply is over %d MiB", l.max>>20))
	}
	if l.gone {
		l.rest = nil
	}
	return len(b), nil
}

func (l *liner) fail(err error) {
	if err != nil && !l.gone {
		l.gone = true
		l.over(err)
	}
}
