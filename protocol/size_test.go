package protocol

import "testing"

func TestHeaderSizes(t *testing.T) {
	name := []byte("8 bytes.")
	for _, c := range []struct {
		what string
		d    Direction
		m    Message
		want int
	}{
		{"least", FrontIn, Message{Command: Ping}, HeaderBytesMin},
		{"request of a client", FrontIn, Message{Command: Request, ID: idA, Number: 1, Instance: 1, Service: name}, 65},
		{"request to a worker, with lease and digest", BackOut, Message{Command: Request, ID: idA, Number: 1, Epoch: 1, Link: 1, Seq: 1, Service: name, LeaseMS: 1, Digest: 1}, 83},
		{"request to a worker, and for how long it waited", BackOut, Message{Command: Request, ID: idA, Number: 1, Epoch: 1, Link: 1, Seq: 1, Service: name, LeaseMS: 1, Digest: 1, WaitedMS: 1}, 90},
		{"reply to a client", FrontOut, Message{Command: Reply, Code: OK, ID: idA, Number: 1, Attempt: 1}, 64},
	} {
		if got := len(AppendHeader(nil, c.d, &c.m)); got != c.want || got > 96 {
			t.Errorf("%s: %d bytes, want %d and at most 96", c.what, got, c.want)
		}
	}
	if n := len(AppendEntries(nil, make([]Entry, 3))); n != 3*48 {
		t.Errorf("3 entries: %d bytes", n)
	}
	if n := len(AppendAcks(nil, make([]Acked, 3))); n != 3*36 {
		t.Errorf("3 acknowledgements: %d bytes", n)
	}
}

func TestRequestsCostNoAllocation(t *testing.T) {
	for _, name := range []string{"request", "request-again", "request-worker", "reply-ok-ran", "progress"} {
		s := find(t, name)
		buf, fs := make([]byte, 0, 4096), encode(s.d, s.m)
		out := make([][]byte, 0, 16)
		var m Message
		for what, f := range map[string]func(){
			"AppendHeader": func() { buf = AppendHeader(buf[:0], s.d, &s.m) },
			"AppendFrames": func() { out, buf = AppendFrames(out[:0], buf[:0], s.d, &s.m) },
			"Digest":       func() { Digest(s.m.ID, s.m.Service, s.m.Flags, s.m.Body) },
			"Parse": func() {
				if err := Parse(s.d, fs, &m); err != nil {
					panic(err)
				}
			},
		} {
			if n := testing.AllocsPerRun(100, f); n != 0 {
				t.Errorf("%s of %s: %v allocations", what, name, n)
			}
		}
	}
	// A list costs its entries once; then its place is used again.
	s := find(t, "heartbeat-worker")
	fs := longList(48, 4096)(encode(s.d, s.m))
	var m Message
	if n := testing.AllocsPerRun(100, func() {
		if err := Parse(s.d, fs, &m); err != nil {
			panic(err)
		}
	}); n != 0 {
		t.Errorf("Parse of 4,096 entries into used space: %v allocations", n)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	s := find(b, "request-worker")
	fs := encode(s.d, s.m)
	var m Message
	b.ReportAllocs()
	for b.Loop() {
		if err := Parse(s.d, fs, &m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	s := find(b, "request-worker")
	buf := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendHeader(buf[:0], s.d, &s.m)
	}
}
