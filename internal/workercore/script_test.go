package workercore

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

var update = flag.Bool("update", false, "write what the scripts put out into testdata, to be read before it is committed")

// TestScripts plays the stories in testdata: after each command, everything
// that the session put out, each line with its time.
//
//	worker concurrency=1 services=echo task-timeout=0 retain=1000 ids=100
//	recv COMMAND link= seq= ack= epoch= id= attempt= left= late= code= flags=a,b acks=a:1[:superseded]…
//	     run= come= grant=
//	after 1s       time passes, a turn whenever the session asks for one
//	stop 5s        time passes, and this process does not run
//	finish a ok|fail|retry [bytes]      progress a      part a [bytes]      connected
//	drain 10s      elsewhere 1      sends fail|ok      jitter none|max      opens fail|ok
//	remember 5000  so many requests come, are done and acknowledged, untold
//
// Fields of a received message that are not named are what a faithful broker
// would say. Every command is one turn of a loop whose sends and opens succeed
// unless the script says otherwise, and which starts what it can.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d scripts: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, want) {
				t.Errorf("trace differs from %s at\n%s", file, firstDifference(string(got), string(want)))
			}
		})
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := 0; i < len(g) || i < len(w); i++ {
		a, b := "(end)", "(end)"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\n got: %s\nwant: %s", i+1, a, b)
		}
	}
	return ""
}

// play runs the commands of a script and returns it with the outputs as they
// came: comments stay, output lines (indented) are replaced.
func play(t *testing.T, text string) []byte {
	d := &driver{t: t, sendOK: true, openOK: true}
	var out bytes.Buffer
	for _, line := range strings.SplitAfter(text, "\n") {
		if strings.HasPrefix(line, "    ") {
			continue
		}
		out.WriteString(line)
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		d.trace = &out
		d.command(words)
	}
	return out.Bytes()
}

// A driver is a loop for one session, with a script in place of the world.
type driver struct {
	t      *testing.T
	s      *Session
	now    time.Duration
	trace  *bytes.Buffer
	sendOK bool
	openOK bool
	slots  int

	jitterMax bool
	unchecked bool // Check takes too long: thousands of entries
	runs      map[protocol.ID]bool
	seq       map[uint32]uint32 // broker's messages so far, by link
}

func (d *driver) printf(format string, args ...any) {
	fmt.Fprintf(d.trace, "    %-6v %s\n", d.now, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

func (d *driver) command(w []string) {
	switch w[0] {
	case "worker":
		d.start(fields(w[1:]))
		d.turn(nil)
	case "after":
		end := d.now + d.duration(w[1])
		for turns := 0; ; turns++ {
			at, ok := d.s.Deadline()
			if !ok || at >= end {
				break
			}
			if turns > 100_000 {
				d.t.Fatalf("%v: a turn is wanted without end (%s)", d.now, d.s.phase)
			}
			d.now = max(d.now, at)
			d.turn(nil)
		}
		d.now = end
		d.turn(nil)
	case "remember":
		d.remember(d.number(w[1]))
	case "stop":
		d.now += d.duration(w[1])
	case "sends":
		d.sendOK = w[1] == "ok"
	case "opens":
		d.openOK = w[1] == "ok"
	case "jitter":
		d.jitterMax = w[1] == "max"
	default:
		d.turn(func() []Output { return d.input(w) })
	}
}

func (d *driver) input(w []string) []Output {
	switch w[0] {
	case "recv":
		return d.s.Receive(d.now, d.message(w[1], fields(w[2:])), nil)
	case "connected":
		return d.s.Connected(d.now, nil)
	case "progress":
		return d.s.Progress(d.now, id(w[1]), nil)
	case "part":
		size := uint64(4)
		if len(w) > 2 {
			size = d.number(w[2])
		}
		return d.s.Part(d.now, id(w[1]), [][]byte{make([]byte, size)}, nil)
	case "drain":
		return d.s.Drain(d.now, d.duration(w[1]), nil)
	case "hold":
		return d.s.Hold(d.now, d.duration(w[1]), nil)
	case "works":
		return d.s.Works(d.now, nil)
	case "elsewhere":
		return d.s.SetElsewhere(d.now, int(d.number(w[1])), nil)
	case "finish":
		if !d.runs[id(w[1])] {
			d.t.Fatalf("%v: no handler runs for %s", d.now, w[1])
		}
		delete(d.runs, id(w[1]))
		r := Result{Code: protocol.OK, Frames: [][]byte{[]byte("done")}}
		switch w[2] {
		case "ok":
			if len(w) > 3 {
				r.Frames = [][]byte{make([]byte, d.number(w[3]))}
			}
		case "fail":
			r = Result{Code: protocol.Failed, Meta: protocol.ErrorMeta("broken")}
		case "retry":
			r = Result{Code: protocol.Retry, Meta: protocol.ErrorMeta("busy")}
		}
		return d.s.Finished(d.now, id(w[1]), r, nil)
	}
	d.t.Fatalf("unknown command %q", w)
	return nil
}

// turn is one turn of the loop, with one thing read in it.
func (d *driver) turn(input func() []Output) {
	var random uint64
	if d.jitterMax { // a whole multiple and the remainder: the longest wait
		random = uint64(min(d.s.reconnectMax, reconnectFirst<<min(d.s.failures, 16)))
	}
	d.do(d.s.Turn(d.now, random, nil))
	if input != nil {
		d.do(input())
	}
	d.s.Emptied(d.now)
	d.do(d.s.Tick(d.now, nil))
	for len(d.runs) < d.slots {
		if _, ok := d.s.Waiting(); !ok {
			break
		}
		d.do(d.s.StartNext(d.now, nil))
	}
}

func (d *driver) start(f map[string]string) {
	cfg := Config{Instance: 1, Services: []string{"echo"}, Concurrency: 1, RetainBytes: 1000}
	if v := f["concurrency"]; v != "" {
		cfg.Concurrency = int(d.number(v))
	}
	if v := f["services"]; v != "" {
		cfg.Services = strings.Split(v, ",")
	}
	if v := f["task-timeout"]; v != "" {
		cfg.TaskTimeout = d.duration(v)
	}
	if v := f["retain"]; v != "" {
		cfg.RetainBytes = int64(d.number(v))
	}
	if v := f["ids"]; v != "" {
		cfg.IDsMax = int(d.number(v))
	}
	d.s, d.slots = New(cfg, d.now), cfg.Concurrency
	d.runs, d.seq = map[protocol.ID]bool{}, map[uint32]uint32{}
}

func (d *driver) do(out []Output) {
	for i := 0; i < len(out); i++ {
		o := &out[i]
		switch o.Kind {
		case Open:
			d.printf("open%s", map[bool]string{true: "", false: " (fails)"}[d.openOK])
			if d.openOK {
				out = d.s.Opened(d.now, out)
			} else {
				out = d.s.OpenFailed(d.now, "no such host", out)
			}
		case Close:
			d.printf("close")
		case Send:
			d.send(o.Message)
		case Start:
			if d.runs[o.Fence.ID] {
				d.t.Fatalf("%v: %s is started beside itself", d.now, name(o.Fence))
			}
			if o.Run.Deadline <= d.now {
				d.t.Fatalf("%v: %s is started after its deadline", d.now, name(o.Fence))
			}
			d.runs[o.Fence.ID] = true
			d.printf("start %s left=%v%s", name(o.Fence), o.Run.Deadline-d.now, map[bool]string{true: " maybe-rerun"}[o.Run.MaybeRerun])
		case CancelRun:
			d.printf("cancel-run %s: %s", name(o.Fence), o.Cause)
		case PartTaken:
			d.printf("part-taken %s", name(o.Fence))
		case PartRefused:
			d.printf("part-refused %s: %s", name(o.Fence), o.Text)
		case Drop:
			d.printf("drop: %s", o.Reason)
		case Done:
			d.printf("done, unacknowledged=%d", o.Count)
		case Report:
			d.report(o)
		}
		if d.unchecked {
			continue
		}
		if err := d.s.Check(); err != nil {
			d.t.Fatalf("%v: %v", d.now, err)
		}
	}
}

func (d *driver) report(o *Output) {
	line := o.Event.String()
	if !o.Fence.ID.IsZero() {
		line += " " + name(o.Fence)
	}
	switch {
	case o.Event == Refused:
		line += " " + protocol.CodeName(protocol.Disconnect, o.Code)
	case o.Code != 0:
		line += " " + o.Code.String()
	}
	if o.Text != "" {
		line += ": " + o.Text
	}
	if o.Event == Reconnecting || o.Event == Paused {
		line += fmt.Sprintf(", for %v", o.For)
	}
	d.printf("* %s", line)
}

func (d *driver) send(m *protocol.Message) {
	if !d.s.Stamp(d.now, m) {
		d.printf("(not sent: %s of a link that is over)", m.Command)
		return
	}
	text := describe(m)
	if !d.sendOK {
		text += "  FAILED"
	}
	d.printf("> %s", text)
	d.s.Sent(d.now, m, d.sendOK)
}

// name is a fence as scripts write it: id:attempt, and @epoch where not 1.
func name(f Fence) string {
	s := fmt.Sprintf("%s:%d", strings.TrimLeft(string(f.ID[:]), "\x00"), f.Attempt)
	if f.Epoch != 1 {
		s += fmt.Sprintf("@%d", f.Epoch)
	}
	return s
}

func id(s string) protocol.ID {
	var v protocol.ID
	copy(v[16-len(s):], s)
	return v
}

func fields(words []string) map[string]string {
	f := map[string]string{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		f[k] = v
	}
	return f
}

func (d *driver) number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

func (d *driver) duration(s string) time.Duration {
	v, err := time.ParseDuration(s)
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}
