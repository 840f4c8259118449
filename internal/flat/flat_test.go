package flat

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Whatever is added and removed, the rest stays as it was, and memory goes back.
func TestRecordsAndPages(t *testing.T) {
	type record struct {
		value uint64
		at    Place
	}
	var records Records[record]
	var pages Pages
	random := rand.New(rand.NewPCG(1, 2))
	want := map[Ref][][]byte{}
	order := []Ref{}
	for step := range 60_000 {
		if growing := step < 30_000; len(order) > 0 && random.IntN(3) < map[bool]int{true: 1, false: 2}[growing] {
			i := random.IntN(len(order))
			if random.IntN(2) == 0 {
				i = 0 // the oldest, as most
			}
			ref := order[i]
			order = append(order[:i], order[i+1:]...)
			r := records.Get(ref)
			whole := pages.Drop(r.at)
			pages.Tidy(func(ref Ref, to Place) { records.Get(ref).at = to })
			if large := len(want[ref][0]) >= WholeMin; large != (whole != nil) {
				t.Fatalf("dropped: copied %t, %d bytes", whole == nil, len(want[ref][0]))
			}
			records.Remove(ref)
			delete(want, ref)
			continue
		}
		list := [][]byte{bytes.Repeat([]byte{byte(step)}, random.IntN(300)), nil, []byte("tail")}
		if random.IntN(100) == 0 {
			list[0] = make([]byte, WholeMin)
		}
		ref, r := records.Add()
		if want[ref] != nil || r.value != 0 {
			t.Fatal("a record in use is given out again, or one is not empty")
		}
		r.value, r.at = uint64(step)+1, pages.Put(ref, list...)
		want[ref] = list
		order = append(order, ref)
	}
	n, before := 0, Ref(0)
	records.All(func(ref Ref, r *record) bool {
		if ref <= before || r.value == 0 {
			t.Fatalf("%d after %d", ref, before)
		}
		before = ref
		n++
		for i, b := range pages.Get(r.at) {
			if !bytes.Equal(b, want[ref][i]) {
				t.Fatalf("%d: part %d is %q, want %q", ref, i, b, want[ref][i])
			}
		}
		return true
	})
	if n != len(want) || records.Len() != n {
		t.Fatalf("%d records, %d counted, want %d", n, records.Len(), len(want))
	}
	for _, ref := range order {
		pages.Drop(records.Get(ref).at)
		records.Remove(ref)
	}
	if pages.Bytes() != 0 || len(pages.pages) != 0 || records.Len() != 0 {
		t.Fatalf("%d bytes in %d pages and %d records are left", pages.Bytes(), len(pages.pages), records.Len())
	}
	left := 0
	for _, c := range records.chunks {
		if c != nil {
			left++
		}
	}
	if left > 1 {
		t.Fatalf("%d chunks are left", left)
	}
}

// Ids of all kinds are found and removed; times without number are not kept apart.
func TestIndex(t *testing.T) {
	var x Index
	random := rand.New(rand.NewPCG(3, 4))
	want := map[[16]byte]Ref{}
	fresh := func(kind int) (id [16]byte) {
		for i := range id {
			id[i] = byte(random.Uint32())
		}
		switch kind {
		case 0: // as clients make them: a few seconds
			id[0], id[1], id[2], id[3] = 1, 2, 3, byte(random.IntN(2))
			id[6] = 0x70
		case 1: // version 7 of any time
			id[6] = 0x7f
		}
		return id
	}
	for n := range 200_000 {
		id := fresh(n % 3)
		if want[id] != 0 {
			continue
		}
		if x.Get(id) != 0 {
			t.Fatal("found before it was put")
		}
		want[id] = Ref(n + 1)
		x.Put(id, Ref(n+1))
	}
	if x.Len() != len(want) || len(x.byTime) != timesMax {
		t.Fatalf("%d ids in %d times, want %d", x.Len(), len(x.byTime), len(want))
	}
	for id, ref := range want {
		if x.Get(id) != ref {
			t.Fatalf("%x: %d, want %d", id, x.Get(id), ref)
		}
	}
	for id := range want {
		if x.Remove(id); x.Get(id) != 0 {
			t.Fatal("found after it was removed")
		}
	}
	if x.Len() != 0 || len(x.byTime) != 0 || len(x.others) != 0 || x.peak >= peakMin {
		t.Fatalf("left: %d, %d times, %d others, peak %d", x.Len(), len(x.byTime), len(x.others), x.peak)
	}
}

// A map that was large gives its memory back.
func TestShrunk(t *testing.T) {
	m, peak := map[[16]byte]int{}, 0
	id := func(n int) [16]byte { return [16]byte{byte(n), byte(n >> 8), byte(n >> 16)} }
	for n := range 2 * peakMin {
		m[id(n)] = n
		peak = max(peak, len(m))
	}
	made := 0
	for n := 2*peakMin - 1; n >= 10; n-- {
		delete(m, id(n))
		before := peak
		if m, peak = Shrunk(m, peak); peak != before {
			made++
		}
	}
	for n := range 10 {
		if m[id(n)] != n {
			t.Fatalf("%d is lost", n)
		}
	}
	if made != 1 || len(m) != 10 || peak > peakMin {
		t.Fatalf("made anew %d times, %d left, peak %d", made, len(m), peak)
	}
}

// Whatever sizes lists have, and in whatever order they go, all pages take little
// more than what is kept in them.
func TestPagesOfEveryMixture(t *testing.T) {
	type kept struct {
		at    Place
		bytes int64
	}
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 5))
		sizes := make([]int, 1+random.IntN(4))
		for i := range sizes {
			sizes[i] = random.IntN(1 << (3 + random.IntN(13)))
		}
		order, lasting := random.IntN(3), 1+random.IntN(300)
		var pages Pages
		var lists []kept // by owner
		var alive []Ref
		bytes := int64(0)
		for step := range 8000 {
			list := make([][]byte, 1+random.IntN(3)*random.IntN(3))
			x := kept{bytes: 16}
			for i := range list {
				list[i] = make([]byte, sizes[step%len(sizes)]/len(list))
				x.bytes += 8 + int64(len(list[i]))
			}
			if needed(list) >= WholeMin {
				x.bytes += wholeBytes + frameBytes*int64(len(list))
			}
			lists = append(lists, x)
			owner := Ref(len(lists))
			lists[owner-1].at = pages.Put(owner, list...)
			alive = append(alive, owner)
			bytes += x.bytes
			for drops := 0; len(alive) > 0 && drops < 2 && bytes > 8<<20; drops++ {
				i := 0
				switch order {
				case 1:
					i = random.IntN(len(alive))
				case 2: // the oldest, but some stay for long
					i = min(step/lasting, len(alive)-1)
				}
				owner := alive[i]
				alive = append(alive[:i], alive[i+1:]...)
				pages.Drop(lists[owner-1].at)
				bytes -= lists[owner-1].bytes
				pages.Tidy(func(owner Ref, to Place) { lists[owner-1].at = to })
			}
			if takes := pages.Bytes(); takes > bytes*13/10+8*PageBytes {
				t.Fatalf("seed %d, sizes %v, order %d: pages take %d for %d, after %d steps", seed, sizes, order, takes, bytes, step)
			}
		}
		for _, owner := range alive {
			pages.Drop(lists[owner-1].at)
			pages.Tidy(func(owner Ref, to Place) { lists[owner-1].at = to })
		}
		if pages.Bytes() != 0 || len(pages.pages)+len(pages.sparse) != 0 {
			t.Fatalf("seed %d: %d bytes are left", seed, pages.Bytes())
		}
	}
}
