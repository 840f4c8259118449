package flat

// An Index finds records by 16-byte ids. Ids of UUID version 7 (RFC 9562), which
// begin with the time at which they were made, are filed by that: those that are
// looked for now are those that were made just now, and they are together in the
// processor's cache. All others are in one map. The zero value is empty.
type Index struct {
	byTime map[uint64]map[[16]byte]Ref
	at     uint64 // whose map was used last
	now    map[[16]byte]Ref
	others map[[16]byte]Ref
	peak   int // of others
	size   int
}

const (
	timesMax  = 1024 // ids with as many different times are no longer filed by them
	timeShift = 8    // 256 ms
)

// Len is how many there are.
func (x *Index) Len() int { return x.size }

// timeOf is when a UUID of version 7 was made, in steps; ok is false for others.
func timeOf(id *[16]byte) (step uint64, ok bool) {
	ms := uint64(id[0])<<40 | uint64(id[1])<<32 | uint64(id[2])<<24 | uint64(id[3])<<16 | uint64(id[4])<<8 | uint64(id[5])
	return ms >> timeShift, id[6]>>4 == 7
}

// of is the map of a step; nil if there is none.
func (x *Index) of(step uint64) map[[16]byte]Ref {
	if step != x.at || x.now == nil {
		x.at, x.now = step, x.byTime[step]
	}
	return x.now
}

// Get is the record of an id; 0 if there is none.
func (x *Index) Get(id [16]byte) Ref {
	if step, ok := timeOf(&id); ok {
		if ref := x.of(step)[id]; ref != 0 {
			return ref
		}
	}
	if len(x.others) == 0 {
		return 0
	}
	return x.others[id]
}

// Put files a record under an id that has none.
func (x *Index) Put(id [16]byte, ref Ref) {
	x.size++
	if step, ok := timeOf(&id); ok {
		m := x.of(step)
		if m == nil && len(x.byTime) < timesMax {
			if x.byTime == nil {
				x.byTime = map[uint64]map[[16]byte]Ref{}
			}
			m = map[[16]byte]Ref{}
			x.byTime[step], x.now = m, m
		}
		if m != nil {
			m[id] = ref
			return
		}
	}
	if x.others == nil {
		x.others = map[[16]byte]Ref{}
	}
	x.others[id] = ref
	x.peak = max(x.peak, len(x.others))
}

// Remove takes an id out that is in.
func (x *Index) Remove(id [16]byte) {
	x.size--
	if step, ok := timeOf(&id); ok {
		if m := x.of(step); m[id] != 0 {
			if delete(m, id); len(m) == 0 {
				delete(x.byTime, step)
				x.now = nil
			}
			return
		}
	}
	delete(x.others, id)
	x.others, x.peak = Shrunk(x.others, x.peak)
}

const peakMin = 1 << 16 // smaller maps are left as they are

// Shrunk makes a map that was once large, and is not any more, anew: a map never
// shrinks. peak is how large it was; what it returns is to be given the next time.
func Shrunk[K ~[16]byte, V any](m map[K]V, peak int) (map[K]V, int) {
	if peak < peakMin || len(m) > peak/64 {
		return m, peak
	}
	small := make(map[K]V, 2*len(m))
	for id, v := range m { // any order: it is a map again
		small[id] = v
	}
	return small, len(small)
}
