package workercore

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

var commands = map[string]protocol.Command{
	"WELCOME": protocol.Welcome, "REQUEST": protocol.Request, "CANCEL": protocol.Cancel,
	"CREDIT": protocol.Credit, "ACK": protocol.Ack, "HEARTBEAT": protocol.Heartbeat, "DISCONNECT": protocol.Disconnect,
}

var codes = map[string]protocol.Code{
	"withdrawn": protocol.ReasonWithdrawn, "expired": protocol.ReasonExpired, "lease": protocol.ReasonLease,
	"superseded": protocol.ReasonSuperseded, "unknown": protocol.ReasonUnknown, "shutdown": protocol.ReasonShutdown,
	"invalid": protocol.ReasonInvalid, "version": protocol.ReasonVersion, "full": protocol.ReasonFull,
	"reset": protocol.ReasonReset,
}

// message makes the broker's message of a "recv" line.
func (d *driver) message(command string, f map[string]string) *protocol.Message {
	m := &protocol.Message{
		Command: commands[command], Link: d.s.counters.number, Ack: d.s.counters.sent, Epoch: 1,
		SentMS: uint32(d.now / time.Millisecond),
	}
	if m.Command == 0 {
		d.t.Fatalf("unknown command %q", command)
	}
	set := func(key string, to *uint32) {
		if v := f[key]; v != "" {
			*to = uint32(d.number(v))
		}
	}
	set("link", &m.Link)
	if m.Command != protocol.Disconnect {
		m.Seq = d.seq[m.Link] + 1
		set("seq", &m.Seq)
		d.seq[m.Link] = m.Seq
	}
	set("ack", &m.Ack)
	if v := f["epoch"]; v != "" {
		m.Epoch = d.number(v)
	}
	if v := f["late"]; v != "" {
		m.SentMS -= uint32(d.duration(v) / time.Millisecond)
	}
	if v := f["code"]; v != "" {
		m.Code = codes[v]
	}
	if v := f["id"]; v != "" {
		m.ID, m.Number, m.Service, m.RemainingMS = id(v), 1, []byte("echo"), 30_000
		m.Body = [][]byte{[]byte("work")}
	}
	set("attempt", &m.Number)
	if v := f["left"]; v != "" {
		m.RemainingMS = uint32(d.duration(v) / time.Millisecond)
	}
	if v := f["service"]; v != "" {
		m.Service = []byte(v)
	}
	for _, v := range flagList {
		if _, ok := f[v.name]; ok {
			m.Flags |= v.f
		}
	}
	set("come", &m.Stream.Part)
	set("grant", &m.Stream.Grant)
	if m.Command == protocol.Credit {
		m.Stream.Run = 1
		if v := f["run"]; v != "" {
			m.Stream.Run = d.number(v)
		}
	}
	if m.Command == protocol.Welcome {
		m.Intervals = &protocol.Intervals{HeartbeatMS: 1000, Liveness: 3, ReconnectMaxMS: 2000, RetentionMS: 30_000}
		set("heartbeat", &m.Intervals.HeartbeatMS)
		m.Limits = &protocol.Limits{MessageBytesMax: 1 << 20, FramesMax: 1024}
		if v := f["limit"]; v != "" {
			m.Limits.MessageBytesMax = d.number(v)
		}
		if v := f["remember"]; v != "" {
			m.RememberMax = uint32(d.number(v))
		}
	}
	for _, v := range strings.FieldsFunc(f["acks"], func(r rune) bool { return r == ',' }) {
		parts := strings.Split(v, ":")
		a := protocol.Acked{ID: id(parts[0]), Attempt: uint32(d.number(parts[1])), Epoch: 1, RemainingMS: 30_000}
		for _, p := range parts[2:] {
			switch {
			case p == "superseded":
				a.Superseded = true
			case p[0] == '@':
				a.Epoch = d.number(p[1:])
			default:
				a.RemainingMS = uint32(d.duration(p) / time.Millisecond)
			}
		}
		m.Acks = append(m.Acks, a)
	}
	return m
}

// remember lets n requests come, be done and be acknowledged. It is not
// written down, and Check comes once at the end.
func (d *driver) remember(n uint64) {
	trace := d.trace
	d.trace, d.unchecked = &bytes.Buffer{}, true
	for i := range n {
		name := fmt.Sprint("r", i)
		d.command([]string{"recv", "REQUEST", "id=" + name})
		d.command([]string{"finish", name, "ok"})
		d.command([]string{"recv", "ACK", "acks=" + name + ":1"})
	}
	d.trace, d.unchecked = trace, false
	if err := d.s.Check(); err != nil {
		d.t.Fatal(err)
	}
}

func describe(m *protocol.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d/%d ack=%d", m.Command, m.Link, m.Seq, m.Ack)
	if m.Epoch != 0 && m.ID.IsZero() {
		fmt.Fprintf(&b, " epoch=%d", m.Epoch)
	}
	if !m.ID.IsZero() {
		fmt.Fprintf(&b, " %s", name(fenceOf(m)))
	}
	switch m.Command {
	case protocol.Reply, protocol.Disconnect:
		fmt.Fprintf(&b, " %s", protocol.CodeName(m.Command, m.Code))
	case protocol.Ready:
		fmt.Fprintf(&b, " part=%d credit=%d services=%d", m.Part, m.Credit, len(m.Services))
	case protocol.Heartbeat:
		fmt.Fprintf(&b, " credit=%d", m.Credit)
	}
	b.WriteString(flagNames(m.Flags))
	if v := m.Stream; v.Run != 0 {
		fmt.Fprintf(&b, " run=%d part=%d", v.Run, v.Part)
	}
	if m.Command == protocol.Reply && len(m.Body) > 1 {
		fmt.Fprintf(&b, " frames=%d", len(m.Body))
	}
	if text := m.Meta.Get(protocol.MetaErrorText); text != "" {
		fmt.Fprintf(&b, " %q", text)
	}
	for i, e := range m.Entries {
		if i == 4 {
			fmt.Fprintf(&b, " … %d entries", len(m.Entries))
			break
		}
		fmt.Fprintf(&b, " [%s %s%s]", name(Fence{e.ID, e.Attempt, e.Epoch}), e.State, flagNames(e.Flags))
	}
	return b.String()
}

var flagList = []struct {
	f    protocol.Flags
	name string
}{
	{protocol.AtMostOnce, "at-most-once"}, {protocol.MaybeRerun, "maybe-rerun"},
	{protocol.Partial, "partial"}, {protocol.MaybeSent, "again"},
	{protocol.ReplayOnly, "replay-only"}, {protocol.FromKept, "from-kept"},
	{protocol.CtxCancelled, "ctx-cancelled"}, {protocol.Started, "started"},
	{protocol.Last, "last"}, {protocol.Draining, "draining"},
}

func flagNames(f protocol.Flags) string {
	var s string
	for _, v := range flagList {
		if f.Has(v.f) {
			s += " " + v.name
		}
	}
	return s
}
