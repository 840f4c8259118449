package zmtplink

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
)

// really is what o holds, counted from what is there.
func really(o *outgoing) (bytes int64) {
	seen := map[*buffer]bool{}
	if o.tail != nil {
		seen[o.tail] = true
	}
	for i := o.head; i < len(o.parts); i++ {
		switch p := &o.parts[i]; {
		case p.from != nil:
			seen[p.from] = true
		case p.own:
			bytes += int64(cap(p.data))
		default:
			bytes += int64(len(p.lent)) + loanBytes
		}
	}
	for b := range seen {
		bytes += int64(len(b.bytes))
	}
	return bytes + int64(cap(o.parts))*partBytes
}

// What waits to be sent is counted with all that it takes, and when nothing waits,
// nothing is taken.
func TestOutgoingIsCounted(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	small, large := make([]byte, 700), bytes.Repeat([]byte("L"), link.LentMax+100)
	for round := range 50 {
		o := &outgoing{memory: &memory{}}
		for range 300 {
			switch random.IntN(4) {
			case 0:
				o.append(round%2 == 0, [][]byte{small[:random.IntN(len(small))], nil, large}, random.IntN(2) == 0)
			case 1:
				o.append(false, [][]byte{small[:random.IntN(len(small))]}, true)
			case 2:
				o.command(small[:20])
			case 3:
				if o.bytes > 0 {
					o.wrote(int(random.Int64N(min(o.bytes, 9000) + 1)))
				}
			}
			if got := really(o); o.cost != got {
				t.Fatalf("%d bytes are counted, and %d are there", o.cost, got)
			}
		}
		if round%2 == 0 {
			o.wrote(int(o.bytes))
		} else {
			o.close()
		}
		if o.cost != 0 || o.bytes != 0 || really(o) != 0 {
			t.Fatalf("nothing waits, and %d bytes are counted, %d are there", o.cost, really(o))
		}
	}
}

// The list of what waits is as long as what waits, also where that is never
// nothing.
func TestOutgoingListDoesNotGrow(t *testing.T) {
	o := &outgoing{memory: &memory{}}
	frame := make([]byte, link.LentMax)
	o.append(false, [][]byte{frame}, true)
	each := int(o.bytes)
	for range 10_000 {
		o.append(false, [][]byte{frame}, true)
		o.wrote(each)
	}
	if cap(o.parts) > 4*partsFew || o.cost != really(o) {
		t.Fatalf("there is room for %d parts, and %d wait; %d bytes are counted, %d are there", cap(o.parts), len(o.parts)-o.head, o.cost, really(o))
	}
}
