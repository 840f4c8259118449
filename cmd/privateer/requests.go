package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

type requestsCommand struct {
	adminFlags

	Service   serviceName    `placeholder:"NAME" help:"Only those of this service."`
	State     string         `default:"all" enum:"all, queued, backoff, waiting, assigned, kept, orphan" placeholder:"all" help:"Only those in this state: ${enum}."`
	OlderThan durationOrZero `default:"0" help:"Only those that were accepted so long ago, or longer."`
	Limit     pageSize       `default:"100" help:"Print no more than so many, the oldest; 1000 at most."`
}

// Help is the detailed help.
func (*requestsCommand) Help() string {
	return `Open requests are those that have no outcome yet; the oldest is first. "privateer why ID" tells more of one, "privateer cancel ID" withdraws it.

States: queued, it waits for a worker; assigned, a worker has it; backoff, it waits before it is handed out again; waiting, it may have run before the broker's start, and waits for a worker to say so; kept, a worker has finished it and keeps the reply; orphan, its worker was lost, and its client has to send it again.`
}

// Run prints a line for each open request.
func (c *requestsCommand) Run() error {
	return c.ask(func(ctx context.Context, a *adminapi.Client) error {
		f := adminapi.RequestFilter{Service: string(c.Service), OlderThan: time.Duration(c.OlderThan), Limit: int(c.Limit)}
		if c.State != "all" {
			f.State = c.State
		}
		list, err := a.Requests(ctx, f)
		if err != nil {
			return err
		}
		return c.show(list, func(w io.Writer) error { return writeRequests(w, &list) })
	})
}

func writeRequests(w io.Writer, list *adminapi.Requests) error {
	if len(list.Requests) == 0 {
		_, err := fmt.Fprintln(w, "no open requests that this asks for")
		return err
	}
	t := newTable("ID", "STATE", ">AGE", ">LEFT", ">ATTEMPT", "WORKER", ">HELD", "SERVICE")
	for i := range list.Requests {
		r := &list.Requests[i]
		worker := r.Worker
		if worker == "" {
			worker = "-"
		}
		t.row(r.ID, r.State, ms(r.AgeMS), ms(r.LeftMS), r.Attempt, worker, ms(r.HeldMS), r.Service)
	}
	if err := t.write(w); err != nil || !list.More {
		return err
	}
	_, err := fmt.Fprintln(w, "… and more: ask with --service, --state, --older-than or a higher --limit")
	return err
}
