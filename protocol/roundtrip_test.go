package protocol

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
)

// plain is m with empty slices as nil, for comparing.
func plain(m Message) Message {
	for _, s := range []*[][]byte{&m.Services, &m.Body} {
		if len(*s) == 0 {
			*s = nil
		}
		for i, f := range *s {
			if len(f) == 0 {
				c := append([][]byte{}, *s...)
				c[i], *s = nil, c
			}
		}
	}
	if len(m.Service) == 0 {
		m.Service = nil
	}
	if len(m.Meta) == 0 {
		m.Meta = nil
	}
	if len(m.Entries) == 0 {
		m.Entries = nil
	}
	if len(m.Acks) == 0 {
		m.Acks = nil
	}
	return m
}

func same(t testing.TB, name string, got, want Message) {
	t.Helper()
	if g, w := plain(got), plain(want); !reflect.DeepEqual(g, w) {
		t.Fatalf("%s:\n got %+v\nwant %+v", name, g, w)
	}
}

func TestSamplesRoundTrip(t *testing.T) {
	for _, s := range samples() {
		var got Message
		if err := Parse(s.d, encode(s.d, s.m), &got); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		same(t, s.name, got, s.m)
	}
}

// parse(append(m)) == m, for random valid messages of every command. One
// Message takes them all, so nothing of one may be left in the next.
func TestRandomMessagesRoundTrip(t *testing.T) {
	r := seeded(20260101, t.Logf)
	var got Message
	var buf []byte
	for i := range 300 {
		for _, p := range pairs() {
			want := randomMessage(r, p.d, p.m.Command)
			var fs [][]byte
			fs, buf = AppendFrames(nil, buf[:0], p.d, &want)
			if err := Parse(p.d, fs, &got); err != nil {
				t.Fatalf("round %d, %s: %v\n%+v", i, p.name, err, want)
			}
			same(t, p.name, got, want)
		}
	}
}

// randomMessage makes a valid message. Where the command has no use for a
// field of the fixed header it is set all the same: it must not matter.
func randomMessage(r *rand.Rand, d Direction, cmd Command) Message {
	m := Message{
		Command: cmd, Flags: Flags(r.Uint32()) &^ Partial, ID: randomID(r), Number: small(r), Epoch: r.Uint64() | 1,
		RemainingMS: r.Uint32N(DurationMSMax), SentMS: r.Uint32(), Service: randomName(r, 0), Meta: randomMeta(r),
	}
	if d.front() {
		m.Instance, m.InterestMS = r.Uint64()|1, r.Uint32N(DurationMSMax)
	} else {
		m.Link, m.Seq, m.Ack = small(r), small(r), r.Uint32()
	}
	switch cmd {
	case Request, Reply:
		for range r.IntN(4) {
			m.Body = append(m.Body, randomBytes(r, r.IntN(50)))
		}
	}
	switch cmd {
	case Request:
		m.Stream.Grant = 1 + r.Uint32N(WindowMax)
		m.Flags = m.Flags.With(Partial, r.IntN(2) == 0)
	case Credit:
		m.Stream = Stream{r.Uint64() | 1, r.Uint32N(1 << 30), 0}
		m.Stream.Grant = m.Stream.Part + r.Uint32N(WindowMax+1)
	case Reply:
		m.Stream = Stream{Run: r.Uint64() | 1, Part: small(r)}
	}
	switch {
	case d == FrontIn && cmd == Request:
		m.Code, m.Flags = Code(r.UintN(3)), m.Flags|MaybeSent
	case d == FrontOut && cmd == Reply:
		m.Code = OK + Code(r.UintN(uint(Unknown)))
		for k := Ran; k >= NotStarted; k-- {
			if m.Code.Admits(k) {
				m.Flags = m.Flags.WithCertainty(k)
			}
		}
		m.Attempt, m.RetryAfterMS = r.Uint32(), r.Uint32N(DurationMSMax)
	case cmd == Pong:
		m.Limits = &Limits{r.Uint64() | 1, small(r)}
	case d == BackIn && cmd == Reply:
		m.Code = []Code{OK, Failed, Timeout, Expired, Gone, Retry, HandedBack}[r.IntN(7)]
	case cmd == Ready:
		m.Part, m.Instance, m.Credit = r.Uint32N(PartsMax), r.Uint64()|1, r.Uint32N(CreditMax+1)
		m.Seq = m.Part + 1
		for range r.IntN(4) {
			m.Services = append(m.Services, randomName(r, 1))
		}
		m.Entries = randomEntries(r, IDOnly)
		if r.IntN(2) == 0 {
			m.Info = &WorkerInfo{string(randomName(r, 1)), string(randomName(r, 1)), small(r), string(randomName(r, 1))}
		}
	case cmd == Accepted && r.IntN(2) == 0:
		m.Served = &Served{Workers: r.Uint32()}
		if r.IntN(2) == 0 {
			m.Served.Nearest = randomName(r, 1)
		}
	case d == BackIn && cmd == Heartbeat:
		m.Credit, m.Entries = r.Uint32N(CreditMax+1), randomEntries(r, Finished)
	case d == BackIn && cmd == Disconnect:
		m.Code, m.Entries = 1+Code(r.UintN(6)), randomEntries(r, Finished)
	case cmd == Disconnect:
		m.Code, m.Link, m.Seq = 1+Code(r.UintN(6)), r.Uint32N(2), r.Uint32N(2)
	case d == BackOut && cmd == Cancel:
		m.Code = 1 + Code(r.UintN(5))
	case d == BackOut && cmd == Request:
		m.LeaseMS, m.Digest, m.WaitedMS = r.Uint32N(DurationMSMax), r.Uint64(), r.Uint32N(DurationMSMax)
	case cmd == Welcome:
		m.RememberMax = r.Uint32()
		m.Seq, m.Limits = 1, &Limits{r.Uint64() | 1, small(r)}
		m.Intervals = &Intervals{1 + r.Uint32N(HeartbeatMSMax), 1 + r.Uint32N(LivenessMax), 1 + r.Uint32N(ReconnectMSMax), r.Uint32N(DurationMSMax)}
	case cmd == Ack, cmd == Heartbeat:
		for range r.IntN(4) {
			m.Acks = append(m.Acks, Acked{randomID(r), small(r), r.Uint64() | 1, r.Uint32(), r.IntN(2) == 0})
		}
	}
	return m
}

func small(r *rand.Rand) uint32 { return 1 + r.Uint32N(1<<31) }

func randomID(r *rand.Rand) ID { return ID(randomBytes(r, 16)) }

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32()) | 1
	}
	return b
}

func randomName(r *rand.Rand, least int) []byte {
	const letters = "abc.-_/ÄÖ漢字 "
	var b []byte
	for n := least + r.IntN(30); len(b) < n; {
		b = append(b, string([]rune(letters)[r.IntN(12)])...)
	}
	return b
}

func randomMeta(r *rand.Rand) (m Meta) {
	for range r.IntN(3) {
		m = m.Append(byte(128+r.IntN(128)), string(randomBytes(r, r.IntN(20))))
	}
	return m
}

func randomEntries(r *rand.Rand, last State) (list []Entry) {
	for range r.IntN(4) {
		list = append(list, Entry{randomID(r), small(r), r.Uint64() | 1, Unstarted + State(r.UintN(uint(last))),
			Flags(r.Uint32()), r.Uint32(), r.Uint32(), r.Uint64()})
	}
	return list
}

// Neither a message nor its parts may be reached through a neighbour's slice.
func TestParsedSlicesCannotGrowIntoTheirNeighbours(t *testing.T) {
	s := find(t, "request-again")
	fs := append(encode(s.d, s.m), []byte("spare"))[:4]
	var m Message
	if err := Parse(s.d, fs, &m); err != nil {
		t.Fatal(err)
	}
	before := bytes.Join(append(fs, fs[:5][4]), nil)
	_ = append(m.Service, "XXXX"...)
	_ = append(m.Meta, "XXXX"...)
	_ = append(m.Body, []byte("XXXX"))
	if after := bytes.Join(append(fs[:4:4], fs[:5][4]), nil); !bytes.Equal(before, after) {
		t.Error("appending to a part of the message changed the frames")
	}
	ready := find(t, "ready")
	fs = encode(ready.d, ready.m)
	if err := Parse(ready.d, fs, &m); err != nil {
		t.Fatal(err)
	}
	before = bytes.Clone(fs[0])
	_ = append(m.Services[0], "XXXX"...)
	if !bytes.Equal(before, fs[0]) {
		t.Error("appending to a service changed the header")
	}
}

// Frames made in one buffer stay what they were when the buffer grows.
func TestManyMessagesInOneBuffer(t *testing.T) {
	var buf []byte
	var all [][][]byte
	list := samples()
	for _, s := range list {
		var fs [][]byte
		fs, buf = AppendFrames(nil, buf, s.d, &s.m)
		all = append(all, fs)
		for i := range len(fs) - len(s.m.Body) {
			if cap(fs[i]) != len(fs[i]) {
				t.Errorf("frame %d of %s can grow into the next", i, s.name)
			}
		}
	}
	for i, s := range list {
		if want := encode(s.d, s.m); !reflect.DeepEqual(bytes.Join(all[i], []byte("|")), bytes.Join(want, []byte("|"))) {
			t.Errorf("%s was changed by what came after it", s.name)
		}
	}
}
