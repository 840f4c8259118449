package clientcore

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

var update = flag.Bool("update", false, "rewrite the traces in testdata")

// TestScripts plays testdata/*.txt. A script is text, commands and traces: a
// line that starts with a command is played, and the lines with four spaces
// below it are everything that the machine wanted done. Other lines are the
// story. `go test ./internal/clientcore -run Scripts -update` writes the traces.
//
//	new req|dealer brokers=N          a machine
//	up B | down B                     broker B can be reached, or not: links to it connect or break
//	start K [service= timeout= retries= deadline= body=BYTES] [amo] [known] [nowait] [ping]
//	                                  a call named K; known: its id came from the caller
//	advance D                         time goes by, and timers fire
//	pause D                           time goes by, and nothing fires until its end
//	reply L K TRY CODE CERTAINTY [epoch= after=]   on link L, for call K
//	cut L                             link L loses its connection, and gets it back at once
//	pong L [epoch= limit= heartbeat=]   accepted L K TRY [epoch=]   garbage L
//	part L K TRY RUN N                part N of that run; a reply takes run= and parts=
//	consume K                         its caller has taken one more part
//	withdraw K | close
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &script{t: t, file: file}
			got := s.play(string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, have := strings.Split(string(text), "\n"), strings.Split(got, "\n")
			for i := range max(len(want), len(have)) {
				if i >= len(want) || i >= len(have) || want[i] != have[i] {
					t.Fatalf("%s:%d differs; all of it now:\n%s", file, i+1, got)
				}
			}
		})
	}
}

type script struct {
	t     *testing.T
	file  string
	line  int
	m     *Machine
	now   time.Duration
	up    [BrokersMax]bool
	links map[LinkID]int
	keys  map[string]uint64
	names map[protocol.ID]string
	trace []string
}

func (s *script) play(text string) string {
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		s.line = i + 1
		if strings.HasPrefix(line, "    ") {
			continue
		}
		b.WriteString(line + "\n")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		s.trace = s.trace[:0]
		s.command(words[0], words[1:])
		for _, l := range s.trace {
			b.WriteString("    " + l + "\n")
		}
	}
	return b.String()
}

func (s *script) command(name string, args []string) {
	m := s.m
	switch name {
	case "new":
		face := Req
		if args[0] == "dealer" {
			face = Dealer
		}
		s.m = New(Config{Face: face, Brokers: s.number(args, "brokers", 1), Instance: 1, CallsMax: s.number(args, "calls", 4)})
		s.links, s.keys, s.names, s.now = map[LinkID]int{}, map[string]uint64{}, map[protocol.ID]string{}, 0
		s.up = [BrokersMax]bool{}
	case "up", "down":
		n, _ := strconv.Atoi(args[0])
		s.up[n] = name == "up"
		for _, id := range s.linksTo(n) {
			if s.up[n] {
				s.do(m.Connected(id, m.Turn(s.now, nil)))
			} else {
				s.do(m.Disconnected(id, m.Turn(s.now, nil)))
			}
		}
	case "start":
		s.do(m.Start(s.spec(args), m.Turn(s.now, nil)))
	case "advance":
		end := s.now + s.duration(args[0])
		for {
			due, ok := m.Deadline()
			if !ok || due > end {
				break
			}
			s.now = max(s.now, due)
			s.do(m.End(true, m.Turn(s.now, nil)))
		}
		s.now = end
	case "pause":
		s.now += s.duration(args[0])
		s.do(m.End(true, m.Turn(s.now, nil)))
	case "cut":
		s.do(m.Disconnected(s.link(args[0]), m.Turn(s.now, nil)))
	case "garbage":
		s.do(m.Garbage(s.link(args[0]), m.Turn(s.now, nil)))
	case "pong", "accepted", "reply":
		s.do(m.Receive(s.link(args[0]), s.message(name, args[1:]), m.Turn(s.now, nil)))
	case "part":
		msg := s.message("accepted", args[1:3])
		run, _ := strconv.ParseUint(args[3], 10, 64)
		n, _ := strconv.ParseUint(args[4], 10, 32)
		msg.Command, msg.Code, msg.Flags = protocol.Reply, protocol.OK, protocol.Partial.WithCertainty(protocol.Ran)
		msg.Stream = protocol.Stream{Run: run, Part: uint32(n)}
		s.do(m.Receive(s.link(args[0]), msg, m.Turn(s.now, nil)))
		s.do(m.End(true, m.Turn(s.now, nil)))
	case "consume":
		s.do(m.Consumed(s.keys[args[0]], m.Turn(s.now, nil)))
		s.do(m.End(true, m.Turn(s.now, nil)))
	case "withdraw":
		s.do(m.Withdraw(s.keys[args[0]], m.Turn(s.now, nil)))
	case "close":
		s.do(m.Close(m.Turn(s.now, nil)))
	default: // the story
		return
	}
	if err := s.m.Check(); err != nil {
		s.t.Fatalf("%s:%d: %v", s.file, s.line, err)
	}
}

func (s *script) linksTo(broker int) (list []LinkID) {
	for id, b := range s.links {
		if b == broker {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

// do carries out what the machine wants, and writes it down.
func (s *script) do(out []Output) {
	for i := 0; i < len(out); i++ {
		o := out[i]
		switch o.Kind {
		case Open:
			s.links[o.Link] = o.Broker
			s.say("open L%d to broker %d", o.Link, o.Broker)
		case Close:
			delete(s.links, o.Link)
			s.say("close L%d", o.Link)
		case Send:
			if !s.m.Wanted(o) {
				continue
			}
			if s.up[o.Broker] {
				s.say("send L%d %s", o.Link, s.sent(o.Message))
			}
			out = s.m.Sent(o, s.up[o.Broker], out)
		case Part:
			s.say("part %d of %s%s", o.Part.Number, s.names[o.ID], map[bool]string{true: ", starts again"}[o.Part.Restarted])
		case Complete:
			s.say("%s", s.outcome(o.Outcome))
		case Drop:
			s.say("drop: %v", o.Reason)
		case Event:
			if o.Gap > 0 {
				s.say("event: %v for %v", o.Event, o.Gap)
			} else {
				s.say("event: %v, broker %d", o.Event, o.Broker)
			}
		}
	}
}

func (s *script) say(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf("%-8v ", s.now)+fmt.Sprintf(format, args...))
}

func (s *script) sent(m *protocol.Message) string {
	b := fmt.Sprintf("%v %s", m.Command, s.names[m.ID])
	if m.Command == protocol.Ping {
		return b
	}
	b += fmt.Sprintf(" try %d", m.Number)
	if m.Command == protocol.Cancel {
		return b + fmt.Sprintf(" remaining %d", m.RemainingMS)
	}
	if m.Command == protocol.Credit {
		b += fmt.Sprintf(" run %d come %d grant %d interest %d", m.Stream.Run, m.Stream.Part, m.Stream.Grant, m.InterestMS)
		if m.Flags.Has(protocol.MaybeSent) {
			b += " AGAIN"
		}
		return b
	}
	b += fmt.Sprintf(" first_epoch %d remaining %d interest %d", m.Epoch, m.RemainingMS, m.InterestMS)
	for _, f := range []struct {
		flag protocol.Flags
		name string
	}{{protocol.AtMostOnce, "AT_MOST_ONCE"}, {protocol.MaybeSent, "MAYBE_SENT"}, {protocol.NoWait, "NO_WAIT"}, {protocol.Partial, "PARTIAL"}} {
		if m.Flags.Has(f.flag) {
			b += " " + f.name
		}
	}
	return b
}

func (s *script) outcome(o *Outcome) string {
	b := fmt.Sprintf("outcome %s: %v %v, tries %d", s.names[o.ID], o.Code, o.Certainty, o.Tries)
	if o.FailedOver {
		b += ", failed over"
	}
	if o.Withdrawn {
		b += ", withdrawn"
	}
	if o.Closed {
		b += ", closed"
	}
	if o.Pong != nil {
		b += fmt.Sprintf(", epoch %d after %v", o.Pong.Epoch, o.Pong.RoundTrip)
	}
	if o.Text != "" {
		b += ": " + o.Text
	}
	return b
}

func (s *script) spec(args []string) Call {
	n := uint64(len(s.keys) + 1)
	c := Call{Key: n, ID: protocol.ID{15: byte(n)}, Service: "s", Timeout: 2500 * time.Millisecond, Retries: 3, Deadline: s.now + 30*time.Second, Jitter: n}
	s.keys[args[0]], s.names[c.ID] = n, args[0]
	for _, a := range args[1:] {
		key, value, _ := strings.Cut(a, "=")
		switch key {
		case "service":
			c.Service = value
		case "timeout":
			c.Timeout = s.duration(value)
		case "retries":
			c.Retries = s.number(args, key, 0)
		case "deadline":
			c.Deadline = s.now + s.duration(value)
		case "body":
			c.Body = [][]byte{make([]byte, s.number(args, key, 0))}
		case "window":
			c.Window = uint32(s.number(args, key, 0))
		case "amo":
			c.AtMostOnce = true
		case "known":
			c.FromCaller = true
		case "nowait":
			c.NoWait = true
		case "ping":
			c.PingOnly = true
		default:
			s.t.Fatalf("%s:%d: what is %q?", s.file, s.line, a)
		}
	}
	return c
}

func (s *script) message(name string, args []string) *protocol.Message {
	m := &protocol.Message{Command: protocol.Pong, Epoch: uint64(s.number(args, "epoch", 0)), RetryAfterMS: uint32(s.number(args, "after", 0))}
	if n := s.number(args, "limit", 0); n > 0 {
		m.Limits = &protocol.Limits{MessageBytesMax: uint64(n), FramesMax: 1024}
	}
	if n := s.number(args, "heartbeat", 0); n > 0 {
		m.Intervals = &protocol.Intervals{HeartbeatMS: uint32(n)}
	}
	if name == "pong" {
		return m
	}
	m.Command = protocol.Accepted
	m.ID = protocol.ID{15: byte(s.keys[args[0]])}
	if m.ID.IsZero() {
		m.ID = protocol.ID{15: 99}
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		s.t.Fatalf("%s:%d: %v", s.file, s.line, err)
	}
	m.Number = uint32(n)
	if name == "accepted" {
		return m
	}
	m.Command, m.Attempt = protocol.Reply, 1
	m.Stream = protocol.Stream{Run: uint64(s.number(args, "run", 0)), Part: uint32(s.number(args, "parts", 0))}
	for c := protocol.OK; c <= protocol.Unknown; c++ {
		if c.String() == args[2] {
			m.Code = c
		}
	}
	for c := protocol.NotStarted; c <= protocol.Ran; c++ {
		if c.String() == args[3] {
			m.Flags = m.Flags.WithCertainty(c)
		}
	}
	if m.Code == 0 || m.Flags.Certainty() == 0 {
		s.t.Fatalf("%s:%d: unknown code or certainty", s.file, s.line)
	}
	return m
}

func (s *script) number(args []string, key string, otherwise int) int {
	for _, a := range args {
		if value, ok := strings.CutPrefix(a, key+"="); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				s.t.Fatalf("%s:%d: %v", s.file, s.line, err)
			}
			return n
		}
	}
	return otherwise
}

func (s *script) duration(v string) time.Duration {
	d, err := time.ParseDuration(v)
	if err != nil {
		s.t.Fatalf("%s:%d: %v", s.file, s.line, err)
	}
	return d
}

func (s *script) link(v string) LinkID {
	n, err := strconv.Atoi(strings.TrimPrefix(v, "L"))
	if err != nil {
		s.t.Fatalf("%s:%d: %v", s.file, s.line, err)
	}
	return LinkID(n)
}
