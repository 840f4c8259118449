package worker

import (
	"context"
	"time"

	"github.com/privateer-mq/privateer/internal/direct"
	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

func init() { direct.Call = callDirectly }

// callDirectly is direct.Call: what startRun and the run's goroutine do, with
// nobody to listen but the caller.
func callDirectly(handler any, x *workercore.Run, deadline time.Time, over workercore.Cause) workercore.Result {
	r := &run{}
	r.told.Store(true) // nobody takes note of its progress
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(context.Canceled)
	switch {
	case over == workercore.CauseExpired && !deadline.After(time.Now()):
		var stop context.CancelFunc
		ctx, stop = context.WithDeadlineCause(ctx, deadline, ErrExpired)
		defer stop()
	case over != 0:
		cancel(causes[over])
	}
	// It tells the deadline, and does not end by it: what it stands on has none.
	r.ctx = runContext{run: r, deadline: deadline, std: ctx}
	returned := make(chan notice, 1)
	// On a goroutine of its own, so that runtime.Goexit ends only that.
	r.handler, r.handIn = handler.(Handler), func(n notice) { returned <- n }
	r.take(x, deadline)
	go r.call()
	result := (<-returned).result
	if result.Code == protocol.HandedBack { // of a handler the simulator knows retries alone
		result = workercore.Result{Code: protocol.Retry, Expired: result.Expired, Meta: result.Meta}
	}
	if result.Code == protocol.OK && len(r.parts) > 0 {
		result.Frames = append(r.parts, result.Frames...)
	}
	return result
}
