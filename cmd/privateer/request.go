package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// bodyBytesMax bounds what is read of stdin. The broker's own limit is lower,
// most often, and is the broker's to tell.
const bodyBytesMax = 64 << 20

type requestCommand struct {
	common
	connects

	Broker     []string       `sep:"none" default:"tcp://127.0.0.1:5555" shared:"PRIVATEER_BROKER" help:"Front endpoint of a broker. May be given more than once: they are tried in turn."`
	Timeout    duration       `default:"2.5s" help:"How long one try waits for its answer."`
	Retries    countOrZero    `default:"3" help:"Further tries, all under one id, after one that has timed out or was refused. It is sent more often than that (sent=N): again after a broken connection, and every 10s while a broker has it."`
	Deadline   duration       `default:"30s" help:"When the request is of no more use, wherever it is by then."`
	ID         *requestID     `settings:"none" placeholder:"UUID" help:"Take up the request with this id again, after a restart: its reply, if it has run; the run, if it runs."`
	AtMostOnce bool           `help:"Never start it a second time, whatever is lost."`
	NoWait     bool           `help:"Do not wait for a worker: NO_SERVICE if no live one serves SERVICE."`
	Priority   string         `default:"normal" enum:"low, normal, high" placeholder:"normal" help:"Its place among those that wait: ${enum}."`
	Header     []header       `sep:"none" placeholder:"K=V" help:"A header for the handler. May be given more than once."`
	Repeat     countOrZero    `default:"1" help:"How often to send it, each time under a new id. 0: until stopped. Then stdout has a line for each outcome and the totals, no replies."`
	Quiet      bool           `help:"With --repeat: a line only for what did not end OK at its first attempt. The totals come all the same."`
	Interval   durationOrZero `default:"0" help:"Wait between one outcome and the next request."`
	Parts      bool           `help:"Take the reply in parts, and print each as it comes."`
	JSON       bool           `help:"Print a JSON object for each outcome, the reply within, on a line of stdout."`

	Service string  `arg:"" help:"Name of the service."`
	Body    *string `arg:"" optional:"" help:"The request's body; \"-\" reads it from stdin, and so does no BODY at the end of a pipe."`
}

// Help is the detailed help.
func (*requestCommand) Help() string {
	return "The reply goes to stdout, byte for byte; the outcome and the time it took go to stderr."
}

// Run sends the request, once or repeatedly.
func (c *requestCommand) Run() error {
	if why := protocol.ValidService([]byte(c.Service)); why != "" {
		return usage(fmt.Errorf("SERVICE: %s", why))
	}
	if c.ID != nil && c.Repeat != 1 {
		return usage(errors.New("--id names one request: it goes with --repeat 1 only"))
	}
	if c.Parts && (c.Repeat != 1 || c.JSON) {
		return usage(errors.New("--parts prints one reply as it comes: it goes without --repeat and --json"))
	}
	body, err := c.body(os.Stdin)
	if err != nil {
		return usage(err)
	}
	log := c.logger()
	if c.Parts {
		return c.parts(log, c.request(body))
	}
	cfg, w := c.config(log), &waitNote{out: os.Stderr, after: sayWaitingAfter}
	cfg.Hooks.Accepted = w.accepted
	cl, err := client.NewPipeline(cfg) // over DEALER brokers say more than the outcome
	if err != nil {
		return usage(asFlag(c, err))
	}
	defer cl.Close()
	ask := func(ctx context.Context, r client.Request) outcome {
		defer w.done()
		return do(ctx, cl, r)
	}
	if c.Repeat == 1 {
		return c.once(ask, c.request(body))
	}
	return c.repeat(ask, c.request(body))
}

// An asker sends one request and waits for its outcome.
type asker func(ctx context.Context, r client.Request) outcome

func (c *requestCommand) config(log zerolog.Logger) client.Config {
	cfg := client.Config{
		Brokers:   c.Broker,
		Transport: c.Transport,
		Timeout:   time.Duration(c.Timeout),
		Retries:   int(c.Retries),
		Deadline:  time.Duration(c.Deadline),
		Logger:    log,
	}
	if c.Retries == 0 {
		cfg.Retries = -1 // there, 0 is the default
	}
	return cfg
}

func (c *requestCommand) request(body []byte) client.Request {
	r := client.Request{
		Service:    c.Service,
		Body:       body,
		AtMostOnce: c.AtMostOnce,
		NoWait:     c.NoWait,
		Priority:   map[string]client.Priority{"low": client.Low, "high": client.High}[c.Priority],
	}
	if c.ID != nil {
		r.ID = protocol.ID(*c.ID)
	}
	for _, h := range c.Header {
		r.Headers = append(r.Headers, client.Header{Key: h.key, Value: h.value})
	}
	return r
}

// body is BODY, or what stdin has: when BODY is "-", or absent and stdin a
// pipe or a file. A terminal is not waited for.
func (c *requestCommand) body(stdin *os.File) ([]byte, error) {
	if c.Body != nil && *c.Body != "-" {
		return []byte(*c.Body), nil
	}
	if c.Body == nil {
		info, err := stdin.Stat()
		if err != nil || info.Mode()&os.ModeCharDevice != 0 {
			return nil, nil
		}
	}
	b, err := readWithin(stdin, time.Duration(c.Deadline))
	if errors.Is(err, errNoEnd) {
		return nil, fmt.Errorf("the body on stdin has no end within --deadline (%s): give BODY, or close what writes to the pipe; </dev/null is an empty body", time.Duration(c.Deadline))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the body from stdin: %w", err)
	}
	if len(b) > bodyBytesMax {
		return nil, fmt.Errorf("the body on stdin is over %d MiB", bodyBytesMax>>20)
	}
	return b, nil
}

var errNoEnd = errors.New("no end")

// readWithin reads a body, unless its end does not come in time: then nobody wants
// the reply any more.
func readWithin(stdin io.Reader, most time.Duration) ([]byte, error) {
	type read struct {
		body []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		b, err := io.ReadAll(io.LimitReader(stdin, bodyBytesMax+1))
		done <- read{b, err}
	}()
	select {
	case r := <-done:
		return r.body, r.err
	case <-time.After(most):
		return nil, errNoEnd
	}
}

// once sends one request. A signal withdraws it.
func (c *requestCommand) once(ask asker, r client.Request) error {
	ctx, stop := untilSignal(func() {}, func() { os.Exit(exitMaybe) })
	defer stop()
	o := ask(ctx, r)
	if o.misuse != nil {
		return usage(o.misuse)
	}
	var err error
	if c.JSON {
		if err = o.writeJSON(os.Stdout, true); err != nil {
			fmt.Fprintln(os.Stderr, o)
		}
	} else {
		fmt.Fprintln(os.Stderr, o)
		err = o.writeReply(os.Stdout, isatty.IsTerminal(os.Stdout.Fd()))
	}
	if err != nil {
		return unwritten(o, err)
	}
	sayWhyNot(ctx, o, c.Broker)
	return o.exit()
}

// unwritten is the error of a reply that came and could not be handed on.
func unwritten(o outcome, err error) error {
	return fmt.Errorf("%s, but the reply could not be written: %w", o.code, err)
}

// repeat sends the request again and again. The first signal lets the request
// under way finish, the second withdraws it.
func (c *requestCommand) repeat(ask asker, r client.Request) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stopping, stop := untilSignal(func() {}, cancel)
	defer stop()
	out := bufio.NewWriter(os.Stdout)
	t := newTally()
	for n := 0; (c.Repeat == 0 || n < int(c.Repeat)) && stopping.Err() == nil; n++ {
		if n > 0 && !pause(stopping, time.Duration(c.Interval)) {
			break
		}
		o := ask(ctx, r)
		if o.misuse != nil {
			return usage(o.misuse)
		}
		t.add(o)
		if c.Quiet && o.code == protocol.OK && o.attempt <= 1 {
			continue
		}
		if c.JSON {
			_ = o.writeJSON(out, false) // Flush says it
		} else {
			fmt.Fprintln(out, o)
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("cannot write to stdout: %w", err)
		}
	}
	if err := t.write(os.Stdout, c.JSON); err != nil {
		return fmt.Errorf("cannot write to stdout: %w", err)
	}
	return t.worst.exit()
}

// pause waits for d and reports whether ctx still stands.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
