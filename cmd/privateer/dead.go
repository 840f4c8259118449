package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/privateer-mq/privateer/internal/adminapi"
	"github.com/privateer-mq/privateer/protocol"
)

// frameShownMax is how many bytes are shown of each frame.
const frameShownMax = 200

type deadCommand struct {
	adminFlags

	All       bool           `settings:"none" help:"requeue, drop: all of them, or all that --service, --code and --older-than mean."`
	Service   serviceName    `settings:"none" placeholder:"NAME" help:"list, requeue, drop: only those of this service."`
	Code      deadCode       `settings:"none" placeholder:"CODE" help:"list, requeue, drop: only those with this outcome, as WORKER_LOST or FAILED."`
	OlderThan durationOrZero `settings:"none" default:"0" help:"list, requeue, drop: only those that were given up so long ago, or longer."`

	Action string     `arg:"" optional:"" default:"list" enum:"list, show, requeue, drop" help:"What to do: ${enum}. Default: list."`
	ID     *requestID `arg:"" optional:"" help:"Id of a dead letter, a UUID: show needs it, requeue and drop need it or --all."`
}

// Help is the detailed help.
func (*deadCommand) Help() string {
	return `A dead letter is a request that was given up, most often because it took down as many workers as --max-attempts of the broker.

show prints one with the beginning of its body; --json has the whole, in base64. requeue queues it again as a new request, whose id it prints; nobody waits for its reply. drop forgets it.

With --all, requeue and drop take all of them, the oldest first, or those that the filters mean; "list" with the same filters shows which. Where the broker is full, requeue stops and says how many are left.`
}

// Run lists the dead letters, or does something to one, or to many.
func (c *deadCommand) Run() error {
	if err := c.wrong(); err != nil {
		return usage(err)
	}
	return c.ask(func(ctx context.Context, a *adminapi.Client) error {
		switch {
		case c.Action == "list":
			return c.list(ctx, a)
		case c.Action == "show":
			return c.showOne(ctx, a)
		case c.All:
			return c.many(ctx, a)
		case c.Action == "requeue":
			r, err := a.Requeue(ctx, c.ID.String())
			if err != nil {
				return err
			}
			return c.show(r, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s is queued again, as %s\n", c.ID, oneLine(r.ID))
				return err
			})
		}
		if err := a.Drop(ctx, c.ID.String()); err != nil {
			return err
		}
		return c.say("%s is dropped", c.ID)
	})
}

// wrong says what does not go together.
func (c *deadCommand) wrong() error {
	filters := c.Service != "" || c.Code != "" || c.OlderThan != 0
	switch {
	case c.Action == "list" && c.ID != nil:
		return errors.New("list takes no ID; to see one dead letter: privateer dead show ID")
	case c.All && (c.Action == "list" || c.Action == "show"):
		return fmt.Errorf("--all goes with requeue and drop, not with %s", c.Action)
	case c.All && c.ID != nil:
		return errors.New("give an ID or --all, not both")
	case c.Action != "list" && !c.All && filters:
		return fmt.Errorf("all that the filters mean? then add --all: privateer dead %s --all …", c.Action)
	case c.Action != "list" && !c.All && c.ID == nil:
		return fmt.Errorf("which one? privateer dead %s ID; \"privateer dead\" lists them", c.Action)
	}
	return nil
}

// chosen are the dead letters that the filters mean.
func (c *deadCommand) chosen(ctx context.Context, a *adminapi.Client) ([]adminapi.DeadLetter, error) {
	list, err := a.DeadLetters(ctx)
	return slices.DeleteFunc(list, func(d adminapi.DeadLetter) bool {
		return c.Service != "" && d.Service != string(c.Service) || c.Code != "" && d.Code != string(c.Code) ||
			d.AgeMS < time.Duration(c.OlderThan).Milliseconds()
	}), err
}

// A deadResult is what was done to one of many.
type deadResult struct {
	ID    string `json:"id"`
	As    string `json:"as,omitempty"`    // requeued: its new id
	Error string `json:"error,omitempty"` // not done
}

// many does to all that are meant what the command says. One that is gone meanwhile
// does not stop it; a broker that is full does, or does not answer.
func (c *deadCommand) many(ctx context.Context, a *adminapi.Client) error {
	list, err := c.chosen(ctx, a)
	if err != nil {
		return err
	}
	done, failed := 0, 0
	results := []deadResult{}
	var stopped error
	for i := range list {
		r := deadResult{ID: list[i].ID}
		if c.Action == "requeue" {
			var fresh adminapi.Requeued
			fresh, err = a.Requeue(ctx, r.ID)
			r.As = fresh.ID
		} else {
			err = a.Drop(ctx, r.ID)
		}
		var said *adminapi.Error
		switch {
		case err == nil:
			done++
		case errors.As(err, &said) && said.Code == adminapi.CodeNotFound:
			failed++
			r.Error = said.Message
		default:
			stopped = err
		}
		if stopped != nil {
			break
		}
		results = append(results, r)
	}
	what := map[string]string{"requeue": "queued again", "drop": "dropped"}[c.Action]
	if err := c.show(results, func(w io.Writer) error {
		text := fmt.Sprintf("%s: %s", number(done, "dead letter"), what)
		if failed > 0 {
			text += fmt.Sprintf("; %d were gone already", failed)
		}
		_, err := fmt.Fprintln(w, text)
		return err
	}); err != nil || stopped == nil {
		return err
	}
	return fmt.Errorf("%d of %d are left: %w", len(list)-done-failed, len(list), stopped)
}

// A deadCode is the code of an outcome, in capital letters or small ones.
type deadCode string

// UnmarshalText reads a code.
func (d *deadCode) UnmarshalText(text []byte) error {
	name := strings.ToUpper(strings.ReplaceAll(string(text), "-", "_"))
	for code := protocol.OK; code <= protocol.Unreachable; code++ {
		if code != protocol.OK && code.String() == name {
			*d = deadCode(name)
			return nil
		}
	}
	return fmt.Errorf("%q is no outcome; write it like WORKER_LOST or FAILED", text)
}

func (c *deadCommand) list(ctx context.Context, a *adminapi.Client) error {
	list, err := c.chosen(ctx, a)
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
