package main

import (
	"errors"
	"fmt"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// badImage is the code of a handler's error: no other worker could do better.
const badImage = "BAD_IMAGE"

// sentences are the outcomes other than OK. ErrClosed comes as one of the others too.
var sentences = []struct {
	is   error
	says string
}{
	{client.ErrClosed, "The web front is stopping."},
	{client.ErrFailed, "The worker failed."},
	{client.ErrTimeout, "The worker took too long."},
	{client.ErrExpired, "Its time was over before it was done."},
	{client.ErrCancelled, "It was withdrawn."},
	{client.ErrWorkerLost, "Its worker was lost, and so were those that had it before."},
	{client.ErrGone, "It was done, but the thumbnails are no longer kept."},
	{client.ErrNoService, "No worker is there."},
	{client.ErrOverloaded, "There is too much to do; try again in a moment."},
	{client.ErrDraining, "The broker is stopping; try again in a moment."},
	{client.ErrDenied, "The broker does not allow it."},
	{client.ErrInvalid, "The broker does not take it."},
	{client.ErrUnknown, "No answer came: nobody can tell what has become of it."},
	{client.ErrUnreachable, "No broker could be reached."},
}

var certainties = map[protocol.Certainty]string{
	protocol.NotStarted:   "It was not started.",
	protocol.MaybeStarted: "It may have run.",
	protocol.Ran:          "It ran.",
}

// outcome says in a sentence what has become of a request that has no reply, and
// in another whether it may have run.
func outcome(err error) string {
	e := (*client.Error)(nil)
	if !errors.As(err, &e) {
		return fmt.Sprintf("It failed: %v.", err)
	}
	if e.HandlerCode == badImage {
		return fmt.Sprintf("The worker cannot use it: %s. %s", e.Message, certainties[e.Certainty])
	}
	for _, s := range sentences {
		if errors.Is(e, s.is) {
			return s.says + " " + certainties[e.Certainty]
		}
	}
	return fmt.Sprintf("It failed: %v.", e) // an outcome that is newer than this program
}
