package protocol

import "testing"

// The closed table, pinned by hand: each command in each direction.
func TestLegalCommands(t *testing.T) {
	const no, yes = false, true
	rows := []struct {
		cmd  Command
		want [4]bool // client → broker, broker → client, worker → broker, broker → worker
	}{
		{0, [4]bool{no, no, no, no}},
		{Ping, [4]bool{yes, no, no, no}},
		{Pong, [4]bool{no, yes, no, no}},
		{Request, [4]bool{yes, no, no, yes}},
		{Accepted, [4]bool{no, yes, no, no}},
		{Reply, [4]bool{no, yes, yes, no}},
		{Cancel, [4]bool{yes, no, no, yes}},
		{Credit, [4]bool{yes, no, no, yes}},
		{Ready, [4]bool{no, no, yes, no}},
		{Welcome, [4]bool{no, no, no, yes}},
		{Heartbeat, [4]bool{no, no, yes, yes}},
		{Progress, [4]bool{no, no, yes, no}},
		{Ack, [4]bool{no, no, no, yes}},
		{Disconnect, [4]bool{no, no, yes, yes}},
	}
	for i, r := range rows {
		if int(r.cmd) != i {
			t.Fatalf("row %d is about command %d", i, r.cmd)
		}
	}
	for c := 0; c < 256; c++ {
		for d := FrontIn; d <= BackOut; d++ {
			want := c < len(rows) && rows[c].want[d]
			if got := Legal(d, Command(c)); got != want {
				t.Errorf("%s %s: legal %v, want %v", Command(c), d, got, want)
			}
		}
	}
}

// Hop-by-hop fields, pinned by hand.
func TestFieldsOfCommands(t *testing.T) {
	want := map[Direction]map[Command][]int{
		FrontIn:  {Request: {extStream}, Credit: {extStream}},
		FrontOut: {Accepted: {extServed}, Pong: {extIntervals, extLimits}, Reply: {extAttempt, extRetryAfter, extStream}},
		BackIn:   {Ready: {extCredit, extInstance, extPart, extService, extLabel, extHost, extProcess, extVersion}, Heartbeat: {extCredit}, Reply: {extStream}},
		BackOut:  {Welcome: {extIntervals, extLimits, extRemember}, Request: {extLease, extDigest, extStream, extWaited}, Credit: {extStream}},
	}
	for d := FrontIn; d <= BackOut; d++ {
		for c := Ping; c <= Disconnect; c++ {
			var bits uint32
			for _, typ := range want[d][c] {
				bits |= 1 << typ
			}
			if got := fieldsOf(d, c); got != bits {
				t.Errorf("%s %s: fields %b, want %b", d, c, got, bits)
			}
		}
	}
}

// No peer sets what is not its to say: a field of another command is skipped,
// whatever is in it.
func TestFieldsOfOtherCommandsAreSkipped(t *testing.T) {
	for _, p := range samples() {
		all := p.m
		all.Meta, all.Services, all.Body, all.Entries, all.Acks = nil, nil, nil, nil, nil
		bare := encode(p.d, all)[0]
		for typ := 1; typ < 128; typ++ {
			if typ < 32 && fieldsOf(p.d, p.m.Command)&(1<<typ) != 0 {
				continue
			}
			h := append(append([]byte{}, bare...), byte(typ), 0, 3, 1, 2, 3, byte(typ), 0, 0)
			var got, want Message
			if err := Parse(p.d, [][]byte{h}, &got); err != nil {
				t.Fatalf("%s with field %d: %v", p.name, typ, err)
			}
			if err := Parse(p.d, [][]byte{bare}, &want); err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
			same(t, p.name, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	seen := map[string]int{}
	for c := 0; c < 256; c++ {
		if s := Command(c).String(); (c >= 1 && c <= 13) == (s == "COMMAND("+itoa(c)+")") {
			t.Errorf("command %d is called %q", c, s)
		}
		named := c >= 1 && c <= 14 || c == 32 || c == 33
		s := Code(c).String()
		if seen[s]++; named == (s == "CODE("+itoa(c)+")") || seen[s] > 1 {
			t.Errorf("code %d is called %q", c, s)
		}
	}
	for _, v := range []struct {
		cmd         Command
		first, last Code
	}{{Request, PriorityNormal, PriorityLow}, {Cancel, ReasonWithdrawn, ReasonUnwanted}, {Disconnect, ReasonUnknown, ReasonReset}} {
		for c := v.first; c <= v.last; c++ {
			if CodeName(v.cmd, c) == c.String() {
				t.Errorf("code %d of %s has no name of its own", c, v.cmd)
			}
		}
		if c := v.last + 1; CodeName(v.cmd, c) != c.String() {
			t.Errorf("code %d of %s is called %q", c, v.cmd, CodeName(v.cmd, c))
		}
	}
	if CodeName(Reply, Overloaded) != "OVERLOADED" {
		t.Errorf("code of a REPLY: %q", CodeName(Reply, Overloaded))
	}
	for s := Unstarted; s <= IDOnly+1; s++ {
		if (s.String() == "STATE("+itoa(int(s))+")") != (s > IDOnly) {
			t.Errorf("state %d is called %q", s, s)
		}
	}
}

func TestWhichCodesGoWhere(t *testing.T) {
	for c := 0; c < 256; c++ {
		code := Code(c)
		if got, want := code.Outcome(), c >= 1 && c <= 13; got != want {
			t.Errorf("%s: an outcome %v", code, got)
		}
		if got, want := code.Final(), c >= 1 && c <= 3; got != want {
			t.Errorf("%s: final %v", code, got)
		}
		fromWorker := map[Code]bool{OK: true, Failed: true, Timeout: true, Expired: true, Gone: true, Retry: true, HandedBack: true}
		if code.fromWorker() != fromWorker[code] {
			t.Errorf("%s from a worker: %v", code, code.fromWorker())
		}
		admits := false
		for k := CertaintyNone; k <= Ran; k++ {
			admits = admits || code.Admits(k)
		}
		if admits != code.Outcome() || code.Admits(CertaintyNone) {
			t.Errorf("%s: every outcome has a certainty, and only an outcome", code)
		}
	}
}

func TestFlags(t *testing.T) {
	all := []Flags{AtMostOnce, MaybeSent, NoWait, CanTakeMore, Finish, Retryable, Partial, MaybeRerun, ReplayOnly, FromKept, CtxCancelled, Started, Last, Draining}
	for i, f := range all {
		if f != 1<<i {
			t.Errorf("flag %d is %b", i, f)
		}
		for k := CertaintyNone; k <= Ran; k++ {
			g := f.WithCertainty(Ran).WithCertainty(k)
			if g.Certainty() != k || !g.Has(f) || g.With(f, false) != Flags(0).WithCertainty(k) || g.With(f, true) != g {
				t.Errorf("flag %d with certainty %s: %b", i, k, g)
			}
		}
	}
	if (AtMostOnce | Last).Has(AtMostOnce | NoWait) {
		t.Error("Has is true with one flag of two")
	}
	names := map[string]bool{}
	for k := CertaintyNone; k <= Ran; k++ {
		names[k.String()] = true
	}
	if len(names) != 4 {
		t.Errorf("certainties: %v", names)
	}
}
