package core

import (
	"fmt"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

var flagNames = map[string]protocol.Flags{
	"at-most-once": protocol.AtMostOnce, "maybe-sent": protocol.MaybeSent, "again": protocol.MaybeSent, "no-wait": protocol.NoWait,
	"more": protocol.CanTakeMore, "finish": protocol.Finish, "cancelled": protocol.CtxCancelled,
	"from-kept": protocol.FromKept, "started": protocol.Started, "draining": protocol.Draining, "partial": protocol.Partial,
}

var entryStates = map[string]protocol.State{"unstarted": protocol.Unstarted, "running": protocol.Running,
	"finished": protocol.Finished, "kept": protocol.Kept, "id-only": protocol.IDOnly}

var codeNames = map[string]protocol.Code{"OK": protocol.OK, "FAILED": protocol.Failed, "TIMEOUT": protocol.Timeout,
	"RETRY": protocol.Retry, "HANDED_BACK": protocol.HandedBack, "GONE": protocol.Gone, "EXPIRED": protocol.Expired}

var commandNames = map[string]protocol.Command{"PING": protocol.Ping, "REQUEST": protocol.Request, "CANCEL": protocol.Cancel,
	"CREDIT": protocol.Credit, "READY": protocol.Ready, "HEARTBEAT": protocol.Heartbeat, "REPLY": protocol.Reply,
	"PROGRESS": protocol.Progress, "DISCONNECT": protocol.Disconnect}

// client plays "c1 REQUEST X key=value flag …". A name that begins with p is a
// plain client. c1 and c1' are two sockets of one instance.
func (s *stage) client(words []string) {
	m := protocol.Message{Command: commandNames[words[1]], Number: 1, RemainingMS: 30000,
		Instance: uint64(words[0][1]), Service: []byte("echo"), Epoch: 0}
	from := Peer{ID: []byte(words[0])}
	if words[0][0] == 'p' {
		from.Dialect, m.Service, m.Instance = protocol.Plain, nil, 0
	}
	args := words[2:]
	if len(args) > 0 && m.Command != protocol.Ping {
		m.ID, args = id(args[0]), args[1:]
		m.Body = [][]byte{[]byte(args0(m.ID))}
	}
	for _, arg := range args {
		k, v, _ := strings.Cut(arg, "=")
		switch k {
		case "try":
			m.Number = uint32(s.number(v))
		case "remaining":
			m.RemainingMS = ms(s.duration(v))
		case "sent":
			m.SentMS = ms(s.duration(v))
		case "interest":
			m.InterestMS = ms(s.duration(v))
		case "first":
			m.Epoch = uint64(s.number(v))
		case "service":
			m.Service = []byte(v)
		case "grant":
			m.Stream.Grant = uint32(s.number(v))
		case "run":
			m.Stream = s.stream(v)
		case "body":
			m.Body = [][]byte{[]byte(v)}
		case "size":
			m.Body = [][]byte{make([]byte, s.number(v))}
		case "high":
			m.Code = protocol.PriorityHigh
		case "low":
			m.Code = protocol.PriorityLow
		default:
			m.Flags |= s.flag(arg)
		}
	}
	if m.Command != protocol.Request {
		m.Body, m.Service = nil, nil
	}
	s.put(s.core.Client(s.now, from, &m, nil))
}

func args0(id protocol.ID) string { return "ask " + name(id) }

func (s *stage) flag(arg string) protocol.Flags {
	f, ok := flagNames[arg]
	if !ok {
		s.t.Fatalf("script line %d: unknown argument %q", s.line, arg)
	}
	return f
}

// worker plays "w1 READY …", "w1 HEARTBEAT X/1:running …", "w1 REPLY X/1 OK …".
// Numbers, acknowledgement and link go on by themselves; "lost" makes the
// message use its number and not arrive. A name that begins with v is a PPP
// worker, with m one of MDP.
func (s *stage) worker(words []string) {
	a := s.actor(words[0])
	m := protocol.Message{Command: commandNames[words[1]], Epoch: s.cfg.Epoch, Credit: 1}
	from := Peer{ID: []byte(words[0])}
	if m.Command == protocol.Ready {
		a.link, a.seq, a.ack = a.link+1, 0, 0
		m.Instance, m.Flags = uint64(a.name[1]), protocol.Last
		m.Services = [][]byte{[]byte("echo")}
	}
	lost := false
	for _, arg := range words[2:] {
		k, v, valued := strings.Cut(arg, "=")
		switch {
		case k == "credit":
			m.Credit = uint32(s.number(v))
		case k == "link":
			a.link = uint32(s.number(v))
			m.Link = a.link
		case k == "old-link":
			m.Link, m.Seq = uint32(s.number(v)), 99
		case k == "part":
			if s.number(v) > 0 {
				a.link--
			}
			m.Part = uint32(s.number(v))
			a.seq = m.Part
			m.Flags &^= protocol.Last
		case k == "last":
			m.Flags |= protocol.Last
		case k == "services":
			m.Services = nil
			for _, name := range strings.Split(v, ",") {
				m.Services = append(m.Services, []byte(name))
			}
		case k == "ack":
			m.Ack = uint32(s.number(v))
		case k == "run":
			m.Stream = s.stream(v)
		case k == "instance":
			m.Instance = uint64(v[0])
		case k == "body":
			m.Body = [][]byte{[]byte(v)}
		case k == "size":
			m.Body = [][]byte{make([]byte, s.number(v))}
		case k == "lost":
			lost = true
		case strings.Contains(arg, ":"):
			m.Entries = append(m.Entries, s.entry(arg))
		case strings.Contains(arg, "/"):
			f := s.fence(arg)
			m.ID, m.Number, m.Epoch = f.id, f.attempt, f.epoch
		case codeNames[arg] != 0 && !valued:
			m.Code = codeNames[arg]
		default:
			m.Flags |= s.flag(arg)
		}
	}
	if a.name[0] == 'v' {
		from.Dialect = protocol.PPP
		m.Instance, m.Services = 0, nil
	}
	if a.name[0] == 'm' {
		from.Dialect, from.Port, m.Instance = protocol.MDP01, protocol.FrontPort, 0
	}
	if from.legacy() {
		s.put(s.core.Worker(s.now, from, &m, nil))
		return
	}
	s.number1(a, &m)
	if !lost {
		s.put(s.core.Worker(s.now, from, &m, nil))
	}
}

func (s *stage) number1(a *actor, m *protocol.Message) {
	if m.Seq == 0 {
		a.seq++
		m.Seq = a.seq
	}
	if m.Link == 0 {
		m.Link = a.link
	}
	if m.Ack == 0 {
		m.Ack = a.ack
	}
}

// fence reads X/1 or X/1/2: id, attempt, epoch (default: this one).
func (s *stage) fence(text string) fence {
	parts := strings.Split(text, "/")
	f := fence{id: id(parts[0]), attempt: uint32(s.number(parts[1])), epoch: s.cfg.Epoch}
	if len(parts) > 2 {
		f.epoch = uint64(s.number(parts[2]))
	}
	return f
}

// stream reads 5/1/17: run, part, grant.
func (s *stage) stream(text string) (v protocol.Stream) {
	parts := strings.Split(text+"/0/0", "/")
	return protocol.Stream{Run: uint64(s.number(parts[0])), Part: uint32(s.number(parts[1])), Grant: uint32(s.number(parts[2]))}
}

// entry reads X/1/1:running:remaining=5s:cancelled.
func (s *stage) entry(text string) protocol.Entry {
	parts := strings.Split(text, ":")
	f := s.fence(parts[0])
	state, ok := entryStates[parts[1]]
	if !ok {
		s.t.Fatalf("script line %d: unknown state in %q", s.line, text)
	}
	e := protocol.Entry{ID: f.id, Attempt: f.attempt, Epoch: f.epoch, State: state, RemainingMS: 30000}
	for _, p := range parts[2:] {
		k, v, _ := strings.Cut(p, "=")
		switch k {
		case "remaining":
			e.RemainingMS = ms(s.duration(v))
		case "progress":
			e.ProgressMS = ms(s.duration(v))
		default:
			e.Flags |= s.flag(p)
		}
	}
	return e
}

func formatEvent(o Output) string {
	e := &o.Event
	var b strings.Builder
	if o.Kind == Drop {
		b.WriteString("drop ")
	} else {
		b.WriteString("note ")
	}
	b.WriteString(string(e.What))
	if !e.ID.IsZero() {
		fmt.Fprintf(&b, " %s", name(e.ID))
	}
	if e.Worker != 0 && e.Worker < 32 {
		fmt.Fprintf(&b, " worker=#%d", e.Worker)
	} else if e.Worker != 0 {
		fmt.Fprintf(&b, " worker=%c", rune(e.Worker))
	}
	if e.Attempt != 0 {
		fmt.Fprintf(&b, " attempt=%d", e.Attempt)
	}
	if e.Code != 0 {
		fmt.Fprintf(&b, " %v", e.Code)
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, " (%s)", e.Reason)
	}
	return b.String()
}

func formatSend(o Output, a *actor) string {
	m := &o.Msg
	var b strings.Builder
	fmt.Fprintf(&b, "to %s %v", a.name, m.Command)
	if !m.ID.IsZero() {
		fmt.Fprintf(&b, " %s/%d", name(m.ID), m.Number)
	}
	if m.Code != 0 {
		fmt.Fprintf(&b, " %s", protocol.CodeName(m.Command, m.Code))
	}
	if c := m.Flags.Certainty(); c != 0 {
		fmt.Fprintf(&b, " %v", c)
	}
	for _, f := range []struct {
		f    protocol.Flags
		name string
	}{{protocol.AtMostOnce, "at-most-once"}, {protocol.MaybeRerun, "maybe-rerun"}, {protocol.ReplayOnly, "replay-only"},
		{protocol.Retryable, "retryable"}, {protocol.Partial, "partial"}, {protocol.MaybeSent, "again"}, {protocol.Draining, "draining"}} {
		if m.Flags.Has(f.f) {
			b.WriteString(" " + f.name)
		}
	}
	if o.Side == Back {
		fmt.Fprintf(&b, " link=%d seq=%d", m.Link, m.Seq)
	}
	if m.Attempt != 0 {
		fmt.Fprintf(&b, " attempt=%d", m.Attempt)
	}
	if m.RemainingMS != 0 {
		fmt.Fprintf(&b, " remaining=%v", time.Duration(m.RemainingMS)*time.Millisecond)
	}
	if m.LeaseMS != 0 {
		fmt.Fprintf(&b, " lease=%v", time.Duration(m.LeaseMS)*time.Millisecond)
	}
	if m.WaitedMS != 0 {
		fmt.Fprintf(&b, " waited=%v", time.Duration(m.WaitedMS)*time.Millisecond)
	}
	if v := m.Stream; v != (protocol.Stream{}) {
		fmt.Fprintf(&b, " run=%d/%d/%d", v.Run, v.Part, v.Grant)
	}
	for _, k := range m.Acks {
		fmt.Fprintf(&b, " ack=%s/%d", name(k.ID), k.Attempt)
		if k.Superseded {
			b.WriteString("(superseded)")
		}
	}
	for _, f := range m.Body {
		fmt.Fprintf(&b, " %.20q", f)
	}
	if text := m.Meta.Get(protocol.MetaErrorText); text != "" {
		fmt.Fprintf(&b, " (%s)", text)
	}
	return b.String()
}
