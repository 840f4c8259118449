package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// An outcome is what became of one request.
type outcome struct {
	code        protocol.Code
	certainty   protocol.Certainty
	id          protocol.ID
	attempt     int
	sent        int // times
	took        time.Duration
	message     string
	handlerCode string
	retryAfter  time.Duration
	frames      [][]byte

	misuse error // the library refused the request itself: not an outcome
}

// do sends one request and waits for its outcome.
func do(ctx context.Context, cl client.Doer, r client.Request) outcome {
	start := time.Now()
	reply, err := cl.Do(ctx, r)
	return newOutcome(ctx, start, reply, err)
}

func newOutcome(ctx context.Context, start time.Time, reply client.Reply, err error) outcome {
	o := outcome{code: protocol.OK, certainty: protocol.Ran, took: time.Since(start)}
	var ce *client.Error
	switch {
	case err == nil:
		o.id, o.attempt, o.sent, o.frames = reply.ID, reply.Attempt, reply.Tries, reply.Frames
	case errors.As(err, &ce):
		o.code, o.certainty, o.message, o.handlerCode = ce.Code, ce.Certainty, ce.Message, ce.HandlerCode
		o.id, o.attempt, o.sent, o.retryAfter = ce.ID, ce.Attempt, ce.Tries, ce.RetryAfter
	case ctx.Err() != nil:
		o.code, o.certainty, o.message = protocol.Cancelled, protocol.MaybeStarted, err.Error()
	default:
		o.misuse = err
	}
	return o
}

// String is the outcome on one line: OK id=… attempt=1 sent=1 ms=1.2, or
// another code with its certainty and, last, its message.
func (o outcome) String() string {
	var b strings.Builder
	b.WriteString(o.code.String())
	if o.code != protocol.OK {
		b.WriteString(" " + o.certainty.String())
	}
	if !o.id.IsZero() {
		b.WriteString(" id=" + o.id.String())
	}
	fmt.Fprintf(&b, " attempt=%d sent=%d ms=%.1f", o.attempt, o.sent, milliseconds(o.took))
	if o.retryAfter > 0 {
		fmt.Fprintf(&b, " retry_after_ms=%d", o.retryAfter.Milliseconds())
	}
	if o.handlerCode != "" {
		fmt.Fprintf(&b, " code=%q", o.handlerCode)
	}
	if o.message != "" {
		b.WriteString(" message: " + oneLine(o.message))
	}
	return b.String()
}

// writeReply writes the frames one after the other, byte for byte. On a terminal
// the end of a line is added where the reply has none: the prompt comes next.
func (o outcome) writeReply(w io.Writer, terminal bool) error {
	ended := true
	for _, f := range o.frames {
		if _, err := w.Write(f); err != nil {
			return err
		}
		ended = len(f) == 0 && ended || bytes.HasSuffix(f, []byte("\n"))
	}
	if !terminal || ended {
		return nil
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// A record is an outcome in JSON.
type record struct {
	Outcome      string   `json:"outcome"`
	Certainty    string   `json:"certainty"`
	ID           string   `json:"id,omitempty"`
	Attempt      int      `json:"attempt"`
	Sent         int      `json:"sent"`
	MS           float64  `json:"ms"`
	RetryAfterMS int64    `json:"retry_after_ms,omitempty"`
	HandlerCode  string   `json:"handler_code,omitempty"`
	Message      string   `json:"message,omitempty"`
	Reply        []string `json:"reply,omitempty"`        // the frames, when all are UTF-8
	ReplyBase64  [][]byte `json:"reply_base64,omitempty"` // the frames otherwise
}

// writeJSON writes one line, with the reply if that is wanted.
func (o outcome) writeJSON(w io.Writer, withReply bool) error {
	r := record{
		Outcome: o.code.String(), Certainty: o.certainty.String(),
		Attempt: o.attempt, Sent: o.sent, MS: milliseconds(o.took),
		RetryAfterMS: o.retryAfter.Milliseconds(), HandlerCode: o.handlerCode, Message: o.message,
	}
	if !o.id.IsZero() {
		r.ID = o.id.String()
	}
	if withReply {
		for _, f := range o.frames {
			if !utf8.Valid(f) {
				r.Reply, r.ReplyBase64 = nil, o.frames
				break
			}
			r.Reply = append(r.Reply, string(f))
		}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// exit is nil for OK, else the exit code by certainty, with nothing left to say.
func (o outcome) exit() error {
	switch {
	case o.code == protocol.OK || o.code == protocol.CodeNone:
		return nil
	case o.certainty == protocol.Ran:
		return &exit{code: exitFailed}
	case o.certainty == protocol.NotStarted:
		return &exit{code: exitNotStarted}
	}
	return &exit{code: exitMaybe}
}
