package core

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

func numbered(n int) (id protocol.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(n)+1)
	return id
}

// What a calendar hands out is due, and everything that is due is handed out,
// in steps of whatever length, near and far.
func TestCalendar(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var l ledger
		due, put := map[ref]time.Duration{}, map[ref]time.Duration{}
		now := time.Duration(rng.Int64N(int64(time.Hour)))
		for n := range 2000 {
			switch rng.IntN(4) {
			case 0, 1:
				f := l.add(finished{id: numbered(n)})
				at := now + time.Duration(rng.Int64N(int64(time.Second)<<rng.IntN(9)))
				due[f.self], put[f.self] = at, now
				l.must.put(&l, f, now, at)
			case 2:
				for r := range due {
					l.must.remove(&l, l.get(r))
					l.remove(l.get(r))
					delete(due, r)
					break
				}
			default:
				now += time.Duration(rng.Int64N(int64(time.Second) << rng.IntN(7)))
				if at, ok := l.must.next(); ok != (len(due) > 0) || (ok && at <= 0) {
					t.Fatalf("next %v %t with %d in it", at, ok, len(due))
				}
				for f := l.must.due(&l, now); f != nil; f = l.must.due(&l, now) {
					at := due[f.self]
					if at > now { // further away than a calendar reaches
						if at-put[f.self] < calendarStep*(calendarSteps-2) {
							t.Fatalf("handed out %v early, put %v before", at-now, now-put[f.self])
						}
						l.must.put(&l, f, now, at)
						put[f.self] = now
						continue
					}
					delete(due, f.self)
					l.remove(f)
				}
				for r, at := range due {
					if at <= now-calendarStep {
						t.Fatalf("seed %d: record %d is late by %v", seed, r, now-at)
					}
				}
			}
			if _, err := l.check(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Replies come back as they were put, whatever their size, and pages and
// chunks go when nothing in them is of use.
func TestRepliesAreKept(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	var l ledger
	type reply struct {
		meta protocol.Meta
		body [][]byte
	}
	want := map[protocol.ID]reply{}
	var order []protocol.ID
	drop := func(i int) {
		f := l.find(order[i])
		meta, body := l.kept.get(f)
		x := want[f.id]
		if !bytes.Equal(meta, x.meta) || !slices.EqualFunc(body, x.body, bytes.Equal) {
			t.Fatalf("kept %q %q, put %q %q", meta, body, x.meta, x.body)
		}
		l.kept.drop(&l, f)
		l.must.remove(&l, f)
		l.remove(f)
		delete(want, order[i])
		order = slices.Delete(order, i, i+1)
	}
	for n := range 6000 {
		var x reply
		for range rng.IntN(3) {
			x.body = append(x.body, bytes.Repeat([]byte{byte(n)}, rng.IntN(1<<rng.IntN(14))))
		}
		if rng.IntN(4) == 0 {
			x.meta = protocol.ErrorMeta("some error")
		}
		f := l.add(finished{id: numbered(n)})
		l.kept.put(&l, f, x.meta, x.body)
		l.must.put(&l, f, 0, time.Second)
		want[f.id] = reply{meta: protocol.Meta(bytes.Clone(x.meta)), body: cloneAll(x.body)}
		order = append(order, f.id)
		for _, b := range append(x.body, x.meta) { // they were lent
			if len(b) < LentMax {
				clear(b)
			}
		}
		for len(order) > 0 && rng.IntN(3) > 0 && (n > 3000 || rng.IntN(3) == 0) {
			drop(rng.IntN(len(order)))
		}
		if n%100 == 0 {
			if _, err := l.check(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for len(order) > 0 {
		drop(0)
	}
	if _, err := l.check(); err != nil {
		t.Fatal(err)
	}
	if l.size() != 0 || l.kept.pages.Bytes() != 0 {
		t.Fatalf("left: %d ids, %d bytes in pages", l.size(), l.kept.pages.Bytes())
	}
}

func cloneAll(frames [][]byte) (all [][]byte) {
	for _, f := range frames {
		all = append(all, bytes.Clone(f))
	}
	return all
}
