package main

import (
	"context"
	"fmt"
	"io"

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

	ID requestID `arg:"" help:"Id of the request, a UUID."`
}

// Help is the detailed help.
func (*cancelCommand) Help() string {
	return "Whoever waits for the request gets CANCELLED. A worker that holds it is told so, and its handler's context ends; it may have done the work all the same."
}

// Run cancels the request.
func (c *cancelCommand) Run() error {
	return c.ask(func(ctx context.Context, a *adminapi.Client) error {
		if err := a.Cancel(ctx, c.ID.String()); err != nil {
			return err
		}
		return c.say("%s is cancelled", c.ID)
	})
}

// String is the id as a UUID.
func (id requestID) String() string { return protocol.ID(id).String() }
