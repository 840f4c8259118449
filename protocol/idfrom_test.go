package protocol

import "testing"

// TestIDFrom: ids of keys are stable for ever, differ, and are proper UUIDs.
func TestIDFrom(t *testing.T) {
	if got, want := IDFrom("orders", "4711").String(), "d78f550c-9851-885a-90f6-a5b118559743"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	seen := map[ID][2]string{}
	for _, k := range [][2]string{{"", ""}, {"a", ""}, {"", "a"}, {"a", "b"}, {"ab", ""}, {"", "ab"}, {"a", "bc"}, {"ab", "c"}, {"a\x00", "b"}, {"a", "\x00b"}} {
		id := IDFrom(k[0], k[1])
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q are %v", k, other, id)
		}
		seen[id] = k
		if id != IDFrom(k[0], k[1]) || id[6]>>4 != 8 || id[8]>>6 != 2 {
			t.Errorf("%q: %v", k, id)
		}
		if parsed, err := ParseID(id.String()); err != nil || parsed != id {
			t.Errorf("%q: %v, %v", k, parsed, err)
		}
	}
}
