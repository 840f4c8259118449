package protocol

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestIDText(t *testing.T) {
	const text = "0190b5a2-7c1e-7000-8000-0123456789ab"
	if got := idA.String(); got != text {
		t.Errorf("%q, want %q", got, text)
	}
	for _, s := range []string{text, strings.ToUpper(text)} {
		if got, err := ParseID(s); err != nil || got != idA {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	r := seeded(1, t.Logf)
	for range 100 {
		id := randomID(r)
		if got, err := ParseID(id.String()); err != nil || got != id {
			t.Errorf("%s: %v, %v", id, got, err)
		}
	}
	for _, c := range []struct{ in, want string }{
		{"", "want 36 characters"},
		{text[:35], "want 36 characters"},
		{text + "0", "want 36 characters"},
		{"0190b5a27-c1e-7000-8000-0123456789ab", "want 36 characters"},
		{strings.ReplaceAll(text, "-", "0"), "want 36 characters"},
		{"0190b5a2-7c1e-7000-8000-0123456789aX", "not hexadecimal"},
		{"00000000-0000-0000-0000-000000000000", "all zero"},
	} {
		if id, err := ParseID(c.in); err == nil || !strings.Contains(err.Error(), c.want) || !id.IsZero() {
			t.Errorf("%q: %v, %v; want an error with %q", c.in, id, err, c.want)
		}
	}
	if idA.IsZero() || !(ID{}).IsZero() {
		t.Error("IsZero")
	}
}

func TestValidService(t *testing.T) {
	for _, good := range []string{"a", "resize", "größe", "漢字", "with space", "a/b.c:d", "mmi.service", strings.Repeat("s", 255)} {
		if why := ValidService([]byte(good)); why != "" {
			t.Errorf("%q: %s", good, why)
		}
	}
	for _, c := range []struct{ in, want string }{
		{"", "empty"}, {strings.Repeat("s", 256), "longer than 255"}, {"\xff", "UTF-8"}, {"ab\xc3", "UTF-8"},
		{"a\x00b", "control"}, {"a\n", "control"}, {"\x7f", "control"}, {"a\u0085b", "control"}, {"\xed\xa0\x80", "UTF-8"},
	} {
		if why := ValidService([]byte(c.in)); !strings.Contains(why, c.want) {
			t.Errorf("%q: %q, want %q", c.in, why, c.want)
		}
	}
}

// All that a digest covers changes it, and no boundary can be moved unseen.
func TestDigest(t *testing.T) {
	type content struct {
		id      ID
		service string
		flags   Flags
		body    [][]byte
	}
	seen := map[uint64]int{}
	for i, c := range []content{
		{idA, "s", 0, frames("ab")},
		{idB, "s", 0, frames("ab")},
		{idA, "t", 0, frames("ab")},
		{idA, "s", AtMostOnce, frames("ab")},
		{idA, "s", 0, frames("a", "b")},
		{idA, "s", 0, frames("ab", "")},
		{idA, "s", 0, frames("", "ab")},
		{idA, "s", 0, nil},
		{idA, "s", 0, frames("")},
		{idA, "s", 0, frames("", "")},
		{idA, "sa", 0, frames("b")},
		{idA, "", 0, frames("sab")},
		{idA, "", 0, frames("s", "ab")},
	} {
		d := Digest(c.id, []byte(c.service), c.flags, c.body)
		if j, there := seen[d]; there {
			t.Errorf("contents %d and %d have one digest", i, j)
		}
		seen[d] = i
		// What a retry may change does not count.
		if again := Digest(c.id, []byte(c.service), c.flags|MaybeSent|NoWait|CanTakeMore|Finish, c.body); again != d {
			t.Errorf("content %d: a retry has another digest", i)
		}
	}
	// Workers carry digests from one broker to the next, which may be newer.
	if got := Digest(idA, []byte("resize"), AtMostOnce, frames("cat.png", "")); got != 0x6e60bae4ac49d47a {
		t.Errorf("digest %#x: it must be the same in every version", got)
	}
}

func TestMeta(t *testing.T) {
	m := Meta(nil).AppendHeader("k", "v").AppendHeader("", "").AppendHeader("k", "w").Append(MetaErrorCode, "E1").Append(200, "future").Append(MetaErrorText, "why")
	var headers []string
	for k, v := range m.Headers() {
		headers = append(headers, k+"="+v)
	}
	if got := strings.Join(headers, " "); got != "k=v = k=w" {
		t.Errorf("headers %q", got)
	}
	for k := range m.Headers() {
		if k != "k" {
			t.Error("the walk went on after its end")
		}
		break
	}
	if m.Get(MetaErrorCode) != "E1" || m.Get(MetaErrorText) != "why" || m.Get(MetaTrace) != "" || m.Get(200) != "future" {
		t.Errorf("fields %q", m)
	}
	if ErrorMeta("") != nil || ErrorMeta("x").Get(MetaErrorText) != "x" {
		t.Error("ErrorMeta")
	}
	// Both kinds of walk end quietly at what is cut short.
	for n := range len(m) {
		for range m[:n].Fields() {
		}
		for range m[:n].Headers() {
		}
	}
	// A header whose key reaches past the field is no header.
	for range Meta(nil).Append(MetaHeader, "\x05abc").Headers() {
		t.Error("a header from a broken field")
	}
	for range Meta(nil).Append(MetaHeader, "").Headers() {
		t.Error("a header from an empty field")
	}
}

func TestMetaCutsWhatIsTooLong(t *testing.T) {
	long := strings.Repeat("ä", 40000)
	text, code := ErrorMeta(long).Get(MetaErrorText), Meta(nil).Append(MetaErrorCode, long).Get(MetaErrorCode)
	if len(text) != 4095 || !strings.HasSuffix(text, "ä…") || len(code) != 254 || !utf8.ValidString(text) || !utf8.ValidString(code) {
		t.Errorf("text of %d bytes, code of %d", len(text), len(code))
	}
	if got := ErrorMeta("x" + long).Get(MetaErrorText); len(got) != 4096 || !utf8.ValidString(got) {
		t.Errorf("text of %d bytes", len(got))
	}
	if got := ErrorMeta(strings.Repeat("x", 4096)).Get(MetaErrorText); strings.HasSuffix(got, "…") {
		t.Error("a text that fits is marked as cut")
	}
	if got := ErrorMeta(strings.Repeat("\x80", 5000)).Get(MetaErrorText); len(got) != 4096 {
		t.Errorf("no characters at all: %d bytes", len(got))
	}
	if got := Meta(nil).Append(MetaTrace, long).Get(MetaTrace); len(got) != 65534 {
		t.Errorf("value of %d bytes", len(got))
	}
	key := strings.Repeat("k", 300)
	for k, v := range Meta(nil).AppendHeader(key, long).Headers() {
		if len(k) != 255 || len(v) != 0xffff-256 || k != key[:255] {
			t.Errorf("key of %d bytes, value of %d", len(k), len(v))
		}
	}
	// Whatever a handler returned, its error can be sent.
	s := find(t, "reply-worker-failed")
	s.m.Meta = ErrorMeta(long).Append(MetaErrorCode, long)
	var m Message
	if err := Parse(s.d, encode(s.d, s.m), &m); err != nil {
		t.Error(err)
	}
}

func TestSniff(t *testing.T) {
	for _, c := range []struct {
		in   string
		want bool
	}{
		{"PRV1\x01", true}, {"PRV1\x00", true}, {"PRV9\x1f", true}, {"PRV1\x05rest", true},
		{"PRV1\x20", false}, {"PRV1", false}, {"PRVA\x01", false}, {"prv1\x01", false}, {"QRV1\x01", false},
		{"PSV1\x01", false}, {"PRW1\x01", false}, {"PRV1 is the best", false}, {"", false}, {"PRV/\x01", false}, {"PRV:\x01", false},
	} {
		if got := Sniff([]byte(c.in)); got != c.want {
			t.Errorf("%q: %v", c.in, got)
		}
	}
}

func TestSplitEnvelope(t *testing.T) {
	eight := strings.Split(strings.Repeat("r ", 8), " ")[:8]
	header := string(encode(FrontIn, find(t, "ping").m)[0])
	for _, c := range []struct {
		name     string
		in       [][]byte
		envelope int // frames; -1 is refused
	}{
		{"REQ", frames("", "body"), 0},
		{"REQ that correlates", frames("\x00\x00\x00\x01", "", "body"), 1},
		{"a chain of devices", frames(append(eight, "", "body")...), 8},
		{"too long a chain", frames(append(eight, "r", "", "body")...), -1},
		{"routing id of 255 bytes", frames(strings.Repeat("r", 255), "", "body"), 1},
		{"routing id of 256 bytes", frames(strings.Repeat("r", 256), "", "body"), -1},
		{"body with empty frames", frames("", "", ""), 0},
		{"no content", frames("a", ""), -1},
		{"no delimiter", frames("a", "b"), -1},
		{"nothing", nil, -1},
		{"the delimiter forgotten", frames(header, "x", "", "y"), -1},
		{"header behind the delimiter", frames("", header), 0},
	} {
		envelope, content, ok := SplitEnvelope(c.in)
		if ok != (c.envelope >= 0) {
			t.Errorf("%s: %v", c.name, ok)
			continue
		}
		if ok && (len(envelope) != c.envelope || len(content) != len(c.in)-c.envelope-1) {
			t.Errorf("%s: %d frames, then %d", c.name, len(envelope), len(content))
		}
		if ok && (cap(envelope) != len(envelope) || cap(content) != len(content)) {
			t.Errorf("%s: the parts can grow into each other", c.name)
		}
	}
}

func TestPPP(t *testing.T) {
	asked := find(t, "request-worker-rerun").m
	out, buf := AppendPPP(nil, []byte("kept"), &asked)
	if len(out) != 3 || len(out[0]) != 56 || len(out[1]) != 0 || string(out[2]) != "cat.png" || string(buf[:4]) != "kept" {
		t.Fatalf("a request goes out as %q", out)
	}
	// As text in a C string, and in a buffer of 256 bytes; neither 17 nor 33 bytes,
	// which the guide's programs take for the ids that libzmq makes.
	if got := string(out[0]); strings.Trim(got, "0123456789abcdef") != "" || Sniff(out[0]) {
		t.Errorf("token %q", got)
	}
	least := Message{Command: Request, Number: 1, Epoch: 1, ID: ID{15: 1}}
	most := Message{Command: Request, Number: 1<<32 - 1, Epoch: 1<<64 - 1, ID: ID(bytes.Repeat([]byte{255}, 16))}
	for _, m := range []Message{least, most} {
		token := appendToken(nil, &m)
		var got Message
		if len(token) != 56 || !ParsePPP([][]byte{token, nil, nil}, &got) || got.ID != m.ID || got.Number != m.Number || got.Epoch != m.Epoch {
			t.Errorf("token %q: %+v", token, got)
		}
	}
	var m Message
	answer := append(append([][]byte{}, out[:2]...), []byte("a"), []byte(""))
	if !ParsePPP(answer, &m) {
		t.Fatal("an answer is not taken")
	}
	same(t, "answer", m, Message{Command: Reply, Code: OK, ID: asked.ID, Number: asked.Number, Epoch: asked.Epoch, Body: answer[2:]})
	if ok := ParsePPP(answer[:2], &m); !ok || len(m.Body) != 0 {
		t.Error("an answer of no frames is not taken")
	}
	// An empty frame at the front of the body is the delimiter; with one more it is not.
	for _, bare := range [][][]byte{frames(string(out[0]), "a"), frames(string(out[0]), "a", ""), more(1024)(frames(string(out[0]), ""))} {
		body := bare[1:]
		if len(body[0]) == 0 {
			body = body[1:]
		}
		if !ParsePPP(bare, &m) {
			t.Fatalf("an answer of %d frames is not taken", len(bare))
		}
		same(t, "answer without an empty frame", m, Message{Command: Reply, Code: OK, ID: asked.ID, Number: asked.Number, Epoch: asked.Epoch, Body: body})
	}
	if ok := ParsePPP(frames("\x01"), &m); !ok {
		t.Error("READY is not taken")
	}
	same(t, "ready", m, Message{Command: Ready, Credit: 1, Flags: Last})
	if ok := ParsePPP(frames("\x02"), &m); !ok {
		t.Error("HEARTBEAT is not taken")
	}
	same(t, "heartbeat", m, Message{Command: Heartbeat, Credit: 1})

	token := string(out[0])
	for _, c := range []struct {
		name string
		in   [][]byte
	}{
		{"nothing", nil}, {"an empty frame", frames("")}, {"0x03", frames("\x03")}, {"READY and more", frames("\x01", "")},
		{"READY of two bytes", frames("\x01\x01")}, {"a token alone", frames(token)}, {"a short address", frames(token[1:], "x")},
		{"a token cut short", frames(token[:55], "", "x")}, {"half a token", frames(token[:28], "", "x")}, {"a token too long", frames(token+"x", "", "x")},
		{"attempt 0", frames(strings.Repeat("0", 8)+token[8:], "", "x")}, {"epoch 0", frames(token[:8]+strings.Repeat("0", 16)+token[24:], "", "x")},
		{"id zero", frames(token[:24]+strings.Repeat("0", 32), "", "x")}, {"no digits", frames(strings.Repeat("g", 56), "", "x")},
		{"capitals", frames(strings.Repeat("A", 56), "", "x")}, {"half a digit", frames(token[:55]+"\x00", "", "x")}, {"1,025 frames", more(1025)(frames(token, ""))},
		{"a PRV header", frames("PRV1\x05"+token[5:], "", "x")},
	} {
		m := Message{Command: Reply, ID: idA}
		if ParsePPP(c.in, &m) {
			t.Errorf("%s: taken", c.name)
		}
		same(t, c.name, m, Message{})
	}
	for _, cmd := range []Command{Cancel, Ack, Welcome, Disconnect} {
		if fs, buf := AppendPPP(nil, nil, &Message{Command: cmd, ID: idA}); fs != nil || buf != nil {
			t.Errorf("%s: %q", cmd, fs)
		}
	}
	if fs, _ := AppendPPP(nil, nil, &Message{Command: Heartbeat}); len(fs) != 1 || string(fs[0]) != "\x02" {
		t.Errorf("heartbeat: %q", fs)
	}
}
