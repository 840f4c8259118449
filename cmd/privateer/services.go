package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/privateer-mq/privateer/internal/adminapi"
	"github.com/privateer-mq/privateer/protocol"
)

type servicesCommand struct{ adminFlags }

// Help is the detailed help.
func (*servicesCommand) Help() string {
	return `OLDEST is how long the oldest in the queue has waited, LONGEST how long a worker has had what it has had for longest.

STATE is empty where all is well, else: paused; no workers; hanging, a run lasts for more than ten times as long as 99 of 100 take, and 10 s (a minute, where few have ended yet); failing, of what ended in the last five minutes more than one in twenty did not end OK, three at least.`
}

// Run prints a line for each service.
func (c *servicesCommand) Run() error {
	return c.ask(func(ctx context.Context, a *adminapi.Client) error {
		list, err := a.Services(ctx)
		if err != nil {
			return err
		}
		return c.show(list, func(w io.Writer) error {
			if len(list) == 0 {
				_, err := fmt.Fprintln(w, "no services: no worker has come, and no request waits")
				return err
			}
			return servicesTable(list).write(w)
		})
	})
}

func servicesTable(list []adminapi.Service) *table {
	t := newTable("SERVICE", "STATE", ">QUEUED", ">OLDEST", ">RUNNING", ">LONGEST", ">WORKERS", ">DONE", ">FAILED")
	for i := range list {
		s := &list[i]
		t.row(s.Name, strings.Join(s.Troubles(), ", "), s.Queued, ms(s.OldestMS), s.Running, ms(s.RunMS), s.Workers, s.Done, s.Failed)
	}
	return t
}

type workersCommand struct{ adminFlags }

// Help is the detailed help.
func (*workersCommand) Help() string {
	return `HOLDS is the id of what it was given first, for "privateer why ID" and "privateer cancel ID"; "privateer requests --state assigned" lists all of them.`
}

// Run prints a line for each worker.
func (c *workersCommand) Run() error {
	return c.ask(func(ctx context.Context, a *adminapi.Client) error {
		list, err := a.Workers(ctx)
		if err != nil {
			return err
		}
		return c.show(list, func(w io.Writer) error {
			if len(list) == 0 {
				_, err := fmt.Fprintln(w, "no workers")
				return err
			}
			return workersTable(list).write(w)
		})
	})
}

func workersTable(list []adminapi.Worker) *table {
	t := newTable("WORKER", "NAME", "STATE", ">BUSY", ">RUNNING", ">CREDIT", ">SEEN", "DIALECT", "SERVICES", "HOLDS")
	for i := range list {
		k := &list[i]
		holds := ""
		if len(k.Requests) > 0 {
			holds = k.Requests[0] // the oldest
		}
		if k.Running > 1 {
			holds += fmt.Sprintf(" and %d more", k.Running-1)
		}
		t.row(k.Worker, cmp.Or(k.Name(), "-"), k.State, ms(k.BusyMS), k.Running, k.Credit, ms(k.SeenMS), k.Dialect, strings.Join(k.Services, ","), holds)
	}
	return t
}

type pauseCommand struct {
	adminFlags

	Service serviceName `arg:"" help:"Name of the service."`
}

// Help is the detailed help.
func (*pauseCommand) Help() string {
	return "New requests are taken in and wait, too, until their deadlines; what its workers hold goes on. A broker that is started again pauses nothing."
}

// Run pauses the service.
func (c *pauseCommand) Run() error {
	return c.ask(func(ctx context.Context, a *adminapi.Client) error {
		if err := a.Pause(ctx, string(c.Service)); err != nil {
			return err
		}
		return c.say("%s is paused: its requests wait until \"privateer resume %s\"", c.Service, c.Service)
	})
}

type resumeCommand struct {
	adminFlags

	Service serviceName `arg:"" help:"Name of the service."`
}

// Run resumes the service.
func (c *resumeCommand) Run() error {
	return c.ask(func(ctx context.Context, a *adminapi.Client) error {
		if err := a.Resume(ctx, string(c.Service)); err != nil {
			return err
		}
		return c.say("%s is not paused: its requests go out", c.Service)
	})
}

// A serviceName is a name that the protocol allows.
type serviceName string

// UnmarshalText reads a service's name.
func (s *serviceName) UnmarshalText(text []byte) error {
	if why := protocol.ValidService(text); why != "" {
		return errors.New(why)
	}
	*s = serviceName(text)
	return nil
}
