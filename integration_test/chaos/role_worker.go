package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/integration_test/chaos/history"
	"github.com/privateer-mq/privateer/worker"
)

const (
	service = "digest"
	// bulk answers with bulkBytes, and nobody writes anything down: it is asked by
	// those who do not read.
	bulk      = "bulk"
	bulkBytes = 64 << 10
)

// workerConcurrency is how many requests a worker process works on at a time.
const workerConcurrency = 8

// workerRole is a worker: it answers each request with its digest and id, and
// writes down every run.
func workerRole(ctx context.Context, args []string) error {
	r := newRole("worker")
	endpoint := r.flags.String("broker", "", "back endpoint")
	drain := r.flags.Duration("drain", 10*time.Second, "drain time-out")
	if err := r.open(ctx, args); err != nil {
		return err
	}
	w, err := worker.New(worker.Config{
		Brokers: []string{*endpoint}, Services: []string{service, bulk}, Concurrency: workerConcurrency,
		DrainTimeout: *drain, Logger: r.log,
	}, worker.HandlerFunc(r.handle))
	if err != nil {
		return err
	}
	fmt.Println(sayReady)
	err = w.Run(ctx)
	var left *worker.UnacknowledgedError
	if errors.As(err, &left) {
		r.log.Warn().Err(err).Msg("ends")
		return exitUnacknowledged
	}
	if err != nil {
		return err
	}
	return r.history.Close()
}

// handle is one run.
func (r *role) handle(ctx context.Context, q *worker.Request) ([]byte, error) {
	if q.Service == bulk {
		return make([]byte, bulkBytes), nil
	}
	o, err := decode(q.Body())
	if err != nil {
		return nil, err
	}
	e := history.Event{Kind: history.Start, Key: o.Key, ID: q.ID.String(), Attempt: q.Attempt, Rerun: q.MaybeRerun, Once: o.Once}
	r.history.Add(e)
	err = work(ctx, o)
	e.Kind, e.How = history.End, history.EndedOK
	switch {
	case errors.Is(err, worker.ErrDraining):
		e.How = history.EndedDrained
	case err != nil:
		e.How = err.Error()
	}
	r.history.Add(e)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s %s", digest(q.Body()), q.ID), nil
}

// progressSteps is how often a run that reports progress does so.
const progressSteps = 4

// work takes as long as o says, or until the context ends.
func work(ctx context.Context, o order) error {
	for range progressSteps {
		timer := time.NewTimer(o.Work / progressSteps)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		if o.Progress {
			worker.Progress(ctx)
		}
	}
	return nil
}
