package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/privateer-mq/privateer/worker"
)

// workerReady is the first line of a worker's output: its pid.
const workerReady = "worker %d: takes images from"

type workerCommand struct {
	Back  string        `default:"tcp://127.0.0.1:5556" help:"The broker's endpoint for workers."`
	Pause time.Duration `default:"0s" help:"Rest so long after each step, to be watched."`
}

// Progress is a part of the reply: how far its worker is.
type progress struct {
	PID     int    `json:"pid"`
	Percent int    `json:"percent"`
	Step    string `json:"step"`
}

// Run serves until ctx is done.
func (c *workerCommand) Run(ctx context.Context) error {
	w, err := worker.New(worker.Config{
		Brokers:      []string{c.Back},
		Services:     []string{service},
		DrainTimeout: 2 * time.Second,
		Logger:       logger,
	}, worker.FramesFunc(c.handle))
	if err != nil {
		return err
	}
	say("worker", "takes images from %s", c.Back)
	return w.Run(ctx)
}

// handle makes the thumbnails of one image: its reply is progress in parts, and
// at the end a frame for each thumbnail. Run again, on another worker, it makes
// the same again.
func (c *workerCommand) handle(ctx context.Context, r *worker.Request) ([][]byte, error) {
	name := r.ID.String()
	if len(r.Headers) > 0 {
		name = r.Headers[0].Value
	}
	say("worker", "%q, attempt %d", name, r.Attempt)
	thumbs, err := thumbnails(r.Body(), func(percent int, step string) error {
		part, err := json.Marshal(progress{os.Getpid(), percent, step})
		if err != nil {
			return err
		}
		if err := r.SendPart(part); err != nil {
			return err
		}
		select {
		case <-time.After(c.Pause):
		case <-ctx.Done(): // between two steps is soon enough to hear that nobody wants it
		}
		return context.Cause(ctx)
	})
	if err != nil {
		say("worker", "%q: %v", name, err)
		if ctx.Err() == nil {
			err = worker.Reject(badImage, err.Error())
		}
		return nil, err
	}
	say("worker", "%q is done", name)
	return thumbs, nil
}
