package zmtp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const large = 4096 // largeMin in these tests

// streams are well-formed and damaged ones, each with what comes of it.
func streams() map[string]struct {
	bytes    []byte
	limits   Limits
	messages []string
	err      string
} {
	long := strings.Repeat("l", 300)
	huge := strings.Repeat("h", large)
	return map[string]struct {
		bytes    []byte
		limits   Limits
		messages []string
		err      string
	}{
		"empty frame":      {message(""), Limits{}, []string{`""`}, ""},
		"several frames":   {message("a", "", "b"), Limits{}, []string{`"a""""b"`}, ""},
		"several messages": {append(message("a"), message("b", "c")...), Limits{}, []string{`"a"`, `"b""c"`}, ""},
		"a long frame":     {message(long, "x"), Limits{}, []string{`[300 6c6c6c6c…6c6c6c6c]"x"`}, ""},
		"large frames": {append(message("x", huge, "y", huge+"h"), message("z")...), Limits{},
			[]string{`"x"[4096 68686868…68686868]"y"[4097 68686868…68686868]`, `"z"`}, ""},
		"short length in the long form": {append([]byte{flagLong}, binary.BigEndian.AppendUint64(nil, 1)...), Limits{}, nil, ""},
		"a command between frames": {slices.Concat([]byte{flagMore, 1, 'a'}, AppendCommand(nil, "WHAT", []byte("ever")), []byte{0, 1, 'b'}), Limits{},
			[]string{`"a""b"`}, ""},
		"reserved flags":                         {append(message("ok"), 0x08, 0), Limits{}, []string{`"ok"`}, "byte 4: a frame with the flags 0x08"},
		"a command with more":                    {[]byte{flagCommand | flagMore, 0}, Limits{}, nil, "byte 0: a frame with the flags 0x05"},
		"a command without a name":               {[]byte{flagCommand, 1, 0}, Limits{}, nil, "a command without a name"},
		"a command whose name is longer than it": {[]byte{flagCommand, 2, 9, 'x'}, Limits{}, nil, "a command without a name"},
		"a large command":                        {append([]byte{flagCommand | flagLong}, binary.BigEndian.AppendUint64(nil, commandBytesMax+1)...), Limits{}, nil, "a command of 2049 bytes"},
		"ERROR":                                  {AppendCommand(nil, "ERROR", []byte("\x04go a")), Limits{}, nil, `the peer refuses: "go a"`},
		"a frame of the limit":                   {message(long), Limits{FrameBytesMax: 300}, []string{`[300 6c6c6c6c…6c6c6c6c]`}, ""},
		"a frame over the limit": {append(message("a"), message(long)...), Limits{FrameBytesMax: 299}, []string{`"a"`},
			"byte 3: a frame of 300 bytes: at most 299"},
		"the largest length":   {[]byte{flagLong, 255, 255, 255, 255, 255, 255, 255, 255}, Limits{}, nil, "a frame of 18446744073709551615 bytes"},
		"frames of the limit":  {message("1", "2", "3"), Limits{FramesMax: 3}, []string{`"1""2""3"`}, ""},
		"a frame too many":     {message("1", "2", "3", "4"), Limits{FramesMax: 3}, nil, "byte 9: a message of more than 3 frames"},
		"bytes of the limit":   {message(long, long), Limits{MessageBytesMax: 600}, []string{`[300 6c6c6c6c…6c6c6c6c][300 6c6c6c6c…6c6c6c6c]`}, ""},
		"a byte too many":      {message(long, long, "x"), Limits{MessageBytesMax: 600}, nil, "a message of more than 600 bytes"},
		"large bytes too many": {message(long, huge), Limits{MessageBytesMax: large}, nil, "a message of more than 4096 bytes"},
	}
}

func TestReader(t *testing.T) {
	for name, c := range streams() {
		for _, s := range []splits{{}, {at: []byte{1}}, {at: []byte{3, 1, 7}}, {at: []byte{255}}} {
			for _, hold := range []int{0, 1, 100} {
				got := read(t, c.bytes, c.limits, nil, large, s, hold)
				if !slices.Equal(got.messages, c.messages) || (c.err == "") != (got.err == "") || !strings.Contains(got.err, c.err) {
					t.Errorf("%s, read by %v: %q and error %q, want %q and %q", name, s.at, got.messages, got.err, c.messages, c.err)
				}
			}
		}
	}
}

func TestPing(t *testing.T) {
	ping := func(context string) []byte { return AppendCommand(nil, "PING", []byte{0, 10}, []byte(context)) }
	got := read(t, slices.Concat(ping("ctx"), message("m"), ping("")), Limits{}, nil, large, splits{}, 0)
	want := append(AppendCommand(nil, "PONG", []byte("ctx")), AppendCommand(nil, "PONG")...)
	if !bytes.Equal(got.pongs, want) || got.err != "" || len(got.messages) != 1 {
		t.Fatalf("%q after two PINGs and a message: %+v", got.pongs, got)
	}
	for context, want := range map[string]string{strings.Repeat("c", 16): "", strings.Repeat("c", 17): "a PING of 19 bytes"} {
		if got := read(t, ping(context), Limits{}, nil, large, splits{}, 0); !strings.Contains(got.err, want) || (want == "") != (got.err == "") {
			t.Errorf("a context of %d bytes: error %q, want %q", len(context), got.err, want)
		}
	}
	if got := read(t, bytes.Repeat(ping("0123456789abcdef"), 2000), Limits{}, nil, large, splits{}, 0); got.err != "" || len(got.pongs) == 0 {
		t.Fatalf("many PINGs: %v", got.err)
	}
	r := NewReader(Limits{}, newMemory(t), nil, large, 0)
	flood := bytes.Repeat(ping("0123456789abcdef"), 60)
	if _, err := r.Filled(copy(r.Room(), flood), nil); err != nil || len(r.pongs) > pongsMax+32 {
		t.Fatalf("60 PINGs in one read are answered with %d bytes (%v)", len(r.pongs), err)
	}
}

// What is being received costs what it takes, and no chunk is kept for nothing.
func TestReaderLetsGo(t *testing.T) {
	m := newMemory(t)
	r := NewReader(Limits{}, m, nil, large, 0)
	feed := func(b []byte) (got []Message) {
		for len(b) > 0 {
			n := copy(r.Room(), b)
			var err error
			if got, err = r.Filled(n, got); err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
		return got
	}
	got := feed(bytes.Repeat(message("sixteen bytes...", "and 4"), 20_000))
	if len(got) != 20_000 {
		t.Fatalf("%d messages", len(got))
	}
	if least := int64(20_000 * (21 + 2*FrameCost)); m.cost < least || m.cost > 3*least {
		t.Fatalf("messages that take %d bytes are counted as %d", least, m.cost)
	}
	for i := range got {
		got[i].Release()
	}
	r.Idle()
	if err := m.empty(0); err != nil {
		t.Fatalf("after all was released: %v", err)
	}
	// A frame that has begun keeps a small chunk only.
	for range 10 {
		for _, x := range feed(bytes.Repeat(message("x"), ChunkBytesMax)) {
			x.Release()
		}
	}
	feed(message("begun")[:4])
	r.Idle()
	const begun = ChunkBytesMin + framesEach*FrameCost + chunkCost
	if m.cost > begun || r.Unfinished() != m.cost {
		t.Fatalf("a frame that has begun keeps %d bytes, and %d count as unfinished", m.cost, r.Unfinished())
	}
	got = feed(message("begun")[4:])
	if len(got) != 1 || text(got[0].Frames) != `"begun"` {
		t.Fatalf("then it is %v", got)
	}
	got[0].Release()
	// So does a message, also with a large frame.
	for range 10 {
		for _, x := range feed(bytes.Repeat(message("x"), ChunkBytesMax)) {
			x.Release()
		}
	}
	whole := message("one", strings.Repeat("h", large), "two", "three")
	feed(whole[:large+20])
	r.Idle()
	if m.cost > begun || r.Unfinished() != m.cost+large {
		t.Fatalf("a message that has begun keeps %d bytes, and %d count as unfinished", m.cost, r.Unfinished())
	}
	if got := feed(whole[large+20:]); len(got) != 1 || text(got[0].Frames) != `"one"[4096 68686868…68686868]"two""three"` {
		t.Fatalf("then it is %v", got)
	}
}

// Frames without bytes cost what their places in lists take, once: also when the
// chunk is used again.
func TestEmptyFramesAreCounted(t *testing.T) {
	m := newMemory(t)
	r := NewReader(Limits{}, m, nil, large, 0)
	stream := bytes.Repeat(message("", ""), 5000)
	for round := range 20 {
		var got []Message
		for rest := stream; len(rest) > 0; {
			n := copy(r.Room(), rest)
			rest = rest[n:]
			var err error
			if got, err = r.Filled(n, got); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.covers(got); err != nil {
			t.Fatal(err)
		}
		if most := 4 * int64(len(stream)+10_000*FrameCost); m.cost > most {
			t.Fatalf("round %d: messages that take %d bytes are counted as %d", round, most/4, m.cost)
		}
		for i := range got {
			got[i].Release()
		}
	}
}

// Large frames do not stay in memory because a chunk that is used again, or kept
// for others, has had them in its list.
func TestReaderForgetsFrames(t *testing.T) {
	m := newMemory(t)
	r := NewReader(Limits{}, m, nil, large, 0)
	huge := strings.Repeat("h", large)
	feed := func(b []byte) (got []Message) {
		for len(b) > 0 {
			n := copy(r.Room(), b)
			var err error
			if got, err = r.Filled(n, got); err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
		return got
	}
	for _, x := range feed(message(huge, huge, huge)) {
		x.Release()
	}
	got := feed(message("small"))
	if n := pinned(r.cur); len(got) != 1 || n > 0 {
		t.Errorf("%d frames of before are kept by a chunk that is used again", n)
	}
	got[0].Release()
	feed(message(huge, huge, "never ends")[:2*large+25])
	r.Close()
	if len(m.spare) == 0 {
		t.Fatal("no chunk came back")
	}
	for _, c := range m.spare {
		if n := pinned(c); n > 0 || len(c.frames) > 0 {
			t.Errorf("a chunk that is kept for others keeps %d frames", n+len(c.frames))
		}
	}
}

// Of a large frame only what came with its header is copied.
func TestLargeFramesAreReadIntoTheirPlace(t *testing.T) {
	m := newMemory(t)
	r := NewReader(Limits{}, m, nil, large, 0)
	stream := message(strings.Repeat("x", 1<<20))
	n := copy(r.Room(), stream)
	if got, err := r.Filled(n, nil); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
	room := r.Room()
	if len(room) != len(stream)-n || r.Unfinished() != 1<<20 {
		t.Fatalf("%d bytes of room for the last %d of the frame, %d unfinished", len(room), len(stream)-n, r.Unfinished())
	}
	copy(room, stream[n:])
	got, err := r.Filled(len(room), nil)
	if err != nil || len(got) != 1 || got[0].Large != 1<<20 || &got[0].Frames[0][1<<20-1] != &room[len(room)-1] {
		t.Fatalf("not the memory that was read into: %v", err)
	}
	if r.Unfinished() != 0 {
		t.Fatalf("%d bytes are unfinished", r.Unfinished())
	}
}

// mask is a mechanism's transform as simple as can be: it turns bits over, and
// adds a byte with the flags.
type mask struct{}

func (mask) Seal(dst []byte, flags byte, body []byte) []byte {
	dst = append(dst, flags^0x55)
	for _, b := range body {
		dst = append(dst, b^0x55)
	}
	return dst
}

func (mask) Open(sealed []byte) (byte, []byte, error) {
	if len(sealed) == 0 {
		return 0, nil, fmt.Errorf("an empty box")
	}
	for i := range sealed {
		sealed[i] ^= 0x55
	}
	return sealed[0], sealed[1:], nil
}

func (mask) Overhead() int { return 1 }

func TestTransform(t *testing.T) {
	var stream []byte
	for _, f := range []struct {
		flags byte
		body  string
	}{{More, "a"}, {flagCommand, "\x04PING\x00\x01c"}, {Last, strings.Repeat("b", 5000)}, {Last, ""}} {
		sealed := mask{}.Seal(nil, f.flags, []byte(f.body))
		stream = append(AppendHeader(stream, Last, len(sealed)), sealed...)
	}
	for _, s := range []splits{{}, {at: []byte{1}}, {at: []byte{5, 200}}} {
		got := read(t, stream, Limits{FrameBytesMax: 5000}, mask{}, large, s, 0)
		if want := []string{`"a"[5000 62626262…62626262]`, `""`}; !slices.Equal(got.messages, want) || got.err != "" {
			t.Fatalf("%q (%s)", got.messages, got.err)
		}
		if want := AppendCommand(nil, "PONG", []byte("c")); !bytes.Equal(got.pongs, want) {
			t.Fatalf("pongs %q", got.pongs)
		}
	}
	if got := read(t, message(""), Limits{}, mask{}, large, splits{}, 0); got.err != "byte 2: an empty box" {
		t.Fatalf("error %q", got.err)
	}
}

// The frames of a message are its owner's to write over, while the reader goes
// on. The race detector is the judge.
func TestFramesAreTheOwners(t *testing.T) {
	m := newMemory(t)
	r := NewReader(Limits{}, m, nil, large, 0)
	stream := bytes.Repeat(message("a", "b"), 100)
	got, err := r.Filled(copy(r.Room(), stream), nil)
	if err != nil || len(got) != 100 {
		t.Fatal(len(got), err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range got {
			got[i].Frames[0], got[i].Frames[1] = nil, nil // not clear, which the detector does not see
		}
	}()
	more, err := r.Filled(copy(r.Room(), stream), nil)
	<-written
	if err != nil || len(more) != 100 || text(more[99].Frames) != `"a""b"` {
		t.Fatal(len(more), err)
	}
	for _, list := range [][]Message{got, more} {
		for i := range list {
			list[i].Release()
		}
	}
	r.Close()
}

// Who looks in vain knows nothing of how much will come: chunks are as large next
// time as they were.
func TestLookingInVainChangesNothing(t *testing.T) {
	m := newMemory(t)
	r := NewReader(Limits{}, m, nil, large, 0)
	stream := bytes.Repeat(message("x"), ChunkBytesMax)
	for len(stream) > 0 {
		n := copy(r.Room(), stream)
		stream = stream[n:]
		got, err := r.Filled(n, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i].Release()
		}
	}
	r.Idle()
	if r.size < 4*ChunkBytesMin {
		t.Fatalf("chunks are of %d bytes after much was read", r.size)
	}
	for before, n := r.size, 0; n < 10; n++ {
		r.Room()
		if r.Idle(); r.size != before {
			t.Fatalf("chunks are of %d bytes instead of %d", r.size, before)
		}
	}
}
