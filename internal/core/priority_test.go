package core

import "testing"

// However much waits of the others, each priority has its share of the dispatches.
func TestNoPriorityStarves(t *testing.T) {
	for _, test := range []struct {
		name  string
		waits [3]bool // high, normal, low
		want  [3]int  // of 160 dispatches
	}{
		{"all", [3]bool{true, true, true}, [3]int{130, 20, 10}},
		{"high and normal", [3]bool{true, true, false}, [3]int{130, 30, 0}},
		{"high and low", [3]bool{true, false, true}, [3]int{150, 0, 10}},
		{"normal and low", [3]bool{false, true, true}, [3]int{0, 150, 10}},
		{"low", [3]bool{false, false, true}, [3]int{0, 0, 160}},
	} {
		s, class, got := &service{}, map[*request]int{}, [3]int{}
		for i, waits := range test.waits {
			if waits {
				r := &request{}
				class[r] = i
				s.queue[i].pushBack(r)
			}
		}
		for range 160 {
			got[class[s.front()]]++
			s.turn++
		}
		if got != test.want {
			t.Errorf("%s: %v of each priority, want %v", test.name, got, test.want)
		}
	}
	if r := (&service{}).front(); r != nil {
		t.Error("a request where none waits")
	}
}
