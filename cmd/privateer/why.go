package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/privateer-mq/privateer/internal/adminapi"
	"github.com/privateer-mq/privateer/protocol"
)

type whyCommand struct {
	adminFlags

	ID requestID `arg:"" help:"Id of the request, a UUID."`
}

// Help is the detailed help.
func (*whyCommand) Help() string {
	return "The first line says where the request is and why it is not done; then comes what has happened to it, as far as the broker remembers."
}

// Run prints the story of the request.
func (c *whyCommand) Run() error {
	return c.ask(func(ctx context.Context, a *adminapi.Client) error {
		why, err := a.Why(ctx, c.ID.String())
		if err != nil {
			return err
		}
		return c.show(why, func(w io.Writer) error { return writeWhy(w, &why) })
	})
}

func writeWhy(w io.Writer, why *adminapi.Why) error {
	if _, err := fmt.Fprintln(w, oneLine(why.Answer)); err != nil || len(why.Steps) == 0 {
		return err
	}
	t := newTable("TIME", ">AGO", "WHAT")
	for i := range why.Steps {
		step := &why.Steps[i]
		t.row(step.At.Local().Format("15:04:05.000"), ms(step.AgoMS), step.Text)
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return t.write(w)
}

type cancelCommand struct {
	adminFlags

	Service serviceName `settings:"none" placeholder:"NAME" help:"All open requests of this service, instead of one by its ID."`

	ID *requestID `arg:"" optional:"" help:"Id of the request, a UUID."`
}

// Help is the detailed help.
func (*cancelCommand) Help() string {
	return `Whoever waits for the request gets CANCELLED. A worker that holds it is told so, and its handler's context ends; it may have done the work all the same.

With --service it does so to all that is open of a service, and says how many that were: what a client has left that filled the queue, or made up names. What comes meanwhile may stay; stop the client first, or pause the service.`
}

// Run cancels the request, or all of a service.
func (c *cancelCommand) Run() error {
	switch {
	case c.ID == nil && c.Service == "":
		return usage(errors.New("which one? privateer cancel ID, or privateer cancel --service NAME for all of a service"))
	case c.ID != nil && c.Service != "":
		return usage(errors.New("give an ID or --service, not both"))
	}
	return c.ask(func(ctx context.Context, a *adminapi.Client) error {
		if c.Service != "" {
			return c.all(ctx, a)
		}
		if err := a.Cancel(ctx, c.ID.String()); err != nil {
			return err
		}
		return c.say("%s is cancelled", c.ID)
	})
}

// all cancels what is open of the service. The broker does some of it in each call.
func (c *cancelCommand) all(ctx context.Context, a *adminapi.Client) error {
	var all adminapi.Cancelled
	for {
		some, err := a.CancelService(ctx, string(c.Service))
		if err != nil && all.Cancelled > 0 {
			return fmt.Errorf("%s cancelled, and then: %w", number(all.Cancelled, "request"), err)
		}
		if err != nil {
			return err
		}
		all.Cancelled += some.Cancelled
		if !some.More {
			break
		}
		if some.Cancelled > 0 {
			continue
		}
		select { // what came later stands before them
		case <-time.After(cancelEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return c.show(all, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s of %s: cancelled\n", number(all.Cancelled, "request"), c.Service)
		return err
	})
}

// cancelEvery is how long a command waits that has to go on asking.
const cancelEvery = 100 * time.Millisecond

// String is the id as a UUID.
func (id requestID) String() string { return protocol.ID(id).String() }
