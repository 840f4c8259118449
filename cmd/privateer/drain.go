package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

// drainPoll is how often it is looked whether the broker is gone.
const drainPoll = 200 * time.Millisecond

type drainCommand struct {
	adminFlags

	Wait    bool     `help:"Wait until the broker is gone, and say each second what it still holds."`
	WaitMax duration `default:"1m" help:"With --wait: the longest time to wait."`
}

// Help is the detailed help.
func (*drainCommand) Help() string {
	return "The broker takes no new requests, finishes what it holds for as long as its --drain-timeout, and ends, as after SIGTERM."
}

// Run asks the broker to drain, and waits if that is wanted.
func (c *drainCommand) Run() error {
	epoch := ""
	err := c.ask(func(ctx context.Context, a *adminapi.Client) error {
		s, err := a.Status(ctx)
		if err != nil {
			return err
		}
		epoch = s.Epoch
		if err := a.Drain(ctx); err != nil || c.Wait {
			return err
		}
		return c.say("the broker drains: it held %s", held(&s))
	})
	if err != nil || !c.Wait {
		return err
	}
	return c.wait(epoch)
}

// wait returns when the broker with this epoch is gone.
func (c *drainCommand) wait(epoch string) error {
	a, err := c.client()
	if err != nil {
		return usage(err)
	}
	ctx, stop := untilSignal(func() {}, func() { os.Exit(exitFailed) })
	defer stop()
	bounded, cancel := context.WithTimeout(ctx, time.Duration(c.WaitMax))
	defer cancel()
	start, said := time.Now(), time.Duration(0)
	for {
		s, err := a.Status(bounded)
		took := time.Since(start)
		switch {
		case ctx.Err() != nil:
			return errors.New("stopped; the broker drains on")
		case bounded.Err() != nil:
			return fmt.Errorf("the broker is still there after %s; it drains on", human(time.Duration(c.WaitMax)))
		case isGone(err) || err == nil && s.Epoch != epoch:
			return c.say("the broker is gone, after %s", human(took))
		case took-said >= progressEvery:
			said = took
			state := "it does not answer"
			if err == nil {
				state = "it holds " + held(&s)
			}
			fmt.Fprintf(os.Stderr, "draining, %s: %s\n", human(took.Round(time.Second)), state)
		}
		pause(bounded, drainPoll)
	}
}

// isGone reports whether an error says that the broker has ended.
func isGone(err error) bool {
	var said *adminapi.Error
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &said) && said.Code == adminapi.CodeNotRunning
}

// held says what a broker holds.
func held(s *adminapi.Status) string {
	switch s.Open {
	case 0:
		return "no requests"
	case 1:
		return fmt.Sprintf("1 request, %d of it with workers", s.Running)
	}
	return fmt.Sprintf("%d requests, %d of them with workers", s.Open, s.Running)
}
