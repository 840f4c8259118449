package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

// frameShownMax is how many bytes are shown of each frame.
const frameShownMax = 200

type deadCommand struct {
	adminFlags

	Action string     `arg:"" optional:"" default:"list" enum:"list, show, requeue, drop" help:"What to do: ${enum}. Default: list."`
	ID     *requestID `arg:"" optional:"" help:"Id of a dead letter, a UUID: all but list need it."`
}

// Help is the detailed help.
func (*deadCommand) Help() string {
	return `A dead letter is a request that was given up, most often because it took down as many workers as --max-attempts of the broker.

show prints one with the beginning of its body; --json has the whole, in base64. requeue queues it again as a new request, whose id it prints; nobody waits for its reply. drop forgets it.`
}

// Run lists the dead letters, or does something to one.
func (c *deadCommand) Run() error {
	switch {
	case c.Action == "list" && c.ID != nil:
		return usage(errors.New("list takes no ID; to see one dead letter: privateer dead show ID"))
	case c.Action != "list" && c.ID == nil:
		return usage(fmt.Errorf("which one? privateer dead %s ID; \"privateer dead\" lists them", c.Action))
	}
	return c.ask(func(ctx context.Context, a *adminapi.Client) error {
		switch c.Action {
		case "show":
			return c.showOne(ctx, a)
		case "requeue":
			r, err := a.Requeue(ctx, c.ID.String())
			if err != nil {
				return err
			}
			return c.show(r, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s is queued again, as %s\n", c.ID, oneLine(r.ID))
				return err
			})
		case "drop":
			if err := a.Drop(ctx, c.ID.String()); err != nil {
				return err
			}
			return c.say("%s is dropped", c.ID)
		}
		return c.list(ctx, a)
	})
}

func (c *deadCommand) list(ctx context.Context, a *adminapi.Client) error {
	list, err := a.DeadLetters(ctx)
	if err != nil {
		return err
	}
	return c.show(list, func(w io.Writer) error {
		if len(list) == 0 {
			_, err := fmt.Fprintln(w, "no dead letters")
			return err
		}
		t := newTable("ID", "SERVICE", "CODE", ">ATTEMPTS", ">AGE", ">BYTES", "REASON")
		for i := range list {
			d := &list[i]
			t.row(d.ID, d.Service, d.Code, d.Attempts, ms(d.AgeMS), d.Bytes, d.Reason)
		}
		return t.write(w)
	})
}

func (c *deadCommand) showOne(ctx context.Context, a *adminapi.Client) error {
	d, err := a.DeadLetter(ctx, c.ID.String())
	if err != nil {
		return err
	}
	return c.show(d, func(w io.Writer) error {
		t := newTable("id", d.ID)
		t.row("service", d.Service)
		t.row("outcome", d.Code+": "+d.Reason)
		t.row("attempts", d.Attempts)
		t.row("workers", strings.Join(d.Workers, ", "))
		t.row("since", d.Since.Local().Format(time.DateTime)+", "+ms(d.AgeMS)+" ago")
		t.row("bytes", d.Bytes)
		for i, f := range d.Frames {
			t.row("frame "+strconv.Itoa(i+1), shownFrame(f))
		}
		return t.write(w)
	})
}

// shownFrame is the beginning of a frame: as it reads if it is text, else in
// hexadecimal.
func shownFrame(text string) string {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "(cannot be read: " + err.Error() + ")"
	}
	part, more := b, ""
	if len(b) > frameShownMax {
		part, more = b[:frameShownMax], fmt.Sprintf(" … of %d bytes", len(b))
		for i := 0; i < utf8.UTFMax && len(part) > 0 && !utf8.Valid(part); i++ {
			part = part[:len(part)-1] // the cut may have gone through a letter
		}
	}
	if isText(part) {
		return strconv.Quote(string(part)) + more
	}
	return fmt.Sprintf("% x", b[:min(len(b), frameShownMax/3)]) + more
}

func isText(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	return !strings.ContainsFunc(string(b), func(r rune) bool {
		return unicode.IsControl(r) && !unicode.IsSpace(r)
	})
}
