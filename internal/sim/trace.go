package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// A trace is what is written down of a run. Where it is kept, what the broker
// heard is at the margin, in the words of internal/core/testdata; everything
// else is indented, as the outputs are there.
type trace struct {
	keep   bool
	lines  []string
	at     time.Duration // of the last line at the margin
	hash   *xxhash.Digest
	faults [faultKinds]int
}

// tailLines is how much of the trace a failure prints.
const tailLines = 50

// note writes an indented line.
func (w *world) note(format string, args ...any) {
	if w.trace.keep {
		w.trace.lines = append(w.trace.lines, fmt.Sprintf("    %-10v %s", w.now.Round(time.Microsecond), fmt.Sprintf(format, args...)))
	}
}

// script writes a line at the margin, and before it the time since the last.
func (w *world) script(format string, args ...any) {
	if !w.trace.keep {
		return
	}
	if d := (w.now - w.trace.at).Round(100 * time.Microsecond); d > 0 {
		w.trace.lines = append(w.trace.lines, fmt.Sprintf("+%v", d))
	}
	w.trace.at = w.now
	w.trace.lines = append(w.trace.lines, fmt.Sprintf(format, args...))
}

func idName(id protocol.ID) string {
	name, _, _ := strings.Cut(string(id[:]), "\x00")
	return name
}

func (w *world) scriptClient(name string, m *protocol.Message) {
	if !w.trace.keep {
		return
	}
	line := fmt.Sprintf("%s %v", name, m.Command)
	if m.Command != protocol.Ping {
		line += fmt.Sprintf(" %s try=%d", idName(m.ID), m.Number)
	}
	if m.Command == protocol.Request {
		line += fmt.Sprintf(" first=%d remaining=%dms interest=%dms service=%s", m.Epoch, m.RemainingMS, m.InterestMS, m.Service)
	}
	w.script("%s%s", line, flagWords(m.Flags))
}

func (w *world) scriptWorker(name string, m *protocol.Message) {
	if !w.trace.keep {
		return
	}
	line := fmt.Sprintf("%s %v", name, m.Command)
	switch m.Command {
	case protocol.Ready:
		line += fmt.Sprintf(" credit=%d services=%s", m.Credit, joinNames(m.Services))
	case protocol.Heartbeat:
		line += fmt.Sprintf(" credit=%d", m.Credit)
	case protocol.Reply:
		line += fmt.Sprintf(" %s/%d/%d %v", idName(m.ID), m.Number, m.Epoch, m.Code)
	case protocol.Progress:
		line += fmt.Sprintf(" %s/%d/%d", idName(m.ID), m.Number, m.Epoch)
	}
	line += fmt.Sprintf(" ack=%d", m.Ack)
	for i := range m.Entries {
		if i == 20 {
			line += " …"
			break
		}
		e := &m.Entries[i]
		line += fmt.Sprintf(" %s/%d/%d:%v:remaining=%dms", idName(e.ID), e.Attempt, e.Epoch, e.State, e.RemainingMS)
		if e.Flags.Has(protocol.CtxCancelled) {
			line += ":cancelled"
		}
		if e.Flags.Has(protocol.Partial) {
			line += ":partial"
		}
	}
	w.script("%s%s", line, flagWords(m.Flags&^protocol.Last))
	w.note("(link %d seq %d)", m.Link, m.Seq)
}

func joinNames(names [][]byte) string {
	var s []string
	for _, n := range names {
		s = append(s, string(n))
	}
	return strings.Join(s, ",")
}

var flagNames = []struct {
	flag protocol.Flags
	name string
}{
	{protocol.AtMostOnce, "at-most-once"}, {protocol.MaybeSent, "maybe-sent"}, {protocol.NoWait, "no-wait"}, {protocol.CanTakeMore, "more"},
	{protocol.Finish, "finish"}, {protocol.FromKept, "from-kept"}, {protocol.CtxCancelled, "cancelled"}, {protocol.Started, "started"},
	{protocol.Draining, "draining"}, {protocol.MaybeRerun, "maybe-rerun"}, {protocol.ReplayOnly, "replay-only"},
}

func flagWords(f protocol.Flags) (s string) {
	for _, n := range flagNames {
		if f.Has(n.flag) {
			s += " " + n.name
		}
	}
	return s
}

// scriptOutput writes what the core puts out, as its golden traces have it.
func (w *world) scriptOutput(o *core.Output) {
	if !w.trace.keep {
		return
	}
	e, m := &o.Event, &o.Msg
	switch o.Kind {
	case core.Drop:
		w.note("drop %s %s", e.What, idName(e.ID))
	case core.Note:
		worker := ""
		if e.Worker != 0 {
			worker = fmt.Sprintf(" worker=%c", rune(e.Worker))
		}
		w.note("note %s %s%s attempt=%d %v (%s)", e.What, idName(e.ID), worker, e.Attempt, e.Code, e.Reason)
	case core.Send:
		line := fmt.Sprintf("to %s %v %s/%d %s%s", w.peerName(o), m.Command, idName(m.ID), m.Number, protocol.CodeName(m.Command, m.Code), flagWords(m.Flags&0x3fff))
		if o.Side == core.Back {
			line += fmt.Sprintf(" link=%d seq=%d ack=%d", m.Link, m.Seq, m.Ack)
		} else {
			line += " " + m.Flags.Certainty().String()
		}
		w.note("%s", line)
	}
}

func (w *world) peerName(o *core.Output) string {
	if c := w.net.ports[o.Side].peers[string(o.To.ID)]; c != nil {
		return c.s.name
	}
	return "nobody"
}
